"""A page that shows images which do not exist, drawn by trained runs.

    python main.py --mode=serve --workdir=runs/ralsgan,runs/began

runs.py reads checkpoints, renderer.py gathers what many callers want into batches, app.py answers
requests, server.py listens. Needs `pip install '.[page]'`.
"""
