"""A page that shows images which do not exist, drawn by trained runs.

    python main.py --mode=serve --workdir=runs/ralsgan,runs/began

runs.py draws from checkpoints, renderer.py gathers what many callers want into batches, gallery.py
keeps the runs at their newest, app.py answers requests, as parameters.py reads them, and server.py
listens. Needs `pip install '.[page]'`.
"""
