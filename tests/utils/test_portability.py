"""Training, sampling and locks on a system like Windows: without what only Unix has."""

import json
import os
import subprocess
import sys

import pytest

# Windows has none of these, and renames, replaces or deletes no file that is open or mapped. There,
# portalocker's locks are mandatory: another handle cannot read the file.
AS_ON_WINDOWS = """
import json, os, pkgutil, signal, sys, types
import jax, numpy, platformdirs, psutil  # on Linux, these use what is removed

for name in "fcntl grp pty pwd resource syslog termios tty".split():
    sys.modules[name] = None
for name in '''
O_CLOEXEC O_NONBLOCK chroot confstr fork forkpty getegid geteuid getgid getloadavg getuid mkfifo
nice pread pwrite register_at_fork sched_getaffinity setsid statvfs sync sysconf uname wait
wait3 wait4
'''.split():
    if hasattr(os, name):
        delattr(os, name)
for name in [name for name in dir(signal) if name.startswith("SIG") and name.isupper()]:
    if name not in "SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM SIG_DFL SIG_IGN".split():
        delattr(signal, name)

def refusing(operate):
    def attempt(*paths, **options):
        process = psutil.Process()
        open_paths = [file.path for file in process.open_files()]
        open_paths += [mapped.path for mapped in getattr(process, "memory_maps", list)()]
        for path in paths[:2]:
            if os.path.realpath(path) in open_paths:
                raise PermissionError(13, "it is open", str(path))
        return operate(*paths, **options)
    return attempt

for name in "remove rename replace unlink".split():
    setattr(os, name, refusing(getattr(os, name)))

class LockException(Exception):
    pass

class AlreadyLocked(LockException):
    pass

locked = {}

def lock(file, flags):
    status = os.fstat(file.fileno())
    owner = locked.setdefault((status.st_dev, status.st_ino), file)
    if owner is not file and not owner.closed:
        unreadable = os.open(file.name, os.O_WRONLY)
        os.dup2(unreadable, file.fileno())
        os.close(unreadable)
        raise AlreadyLocked
    locked[status.st_dev, status.st_ino] = file

portalocker = types.ModuleType("portalocker")
portalocker.LockFlags = types.SimpleNamespace(EXCLUSIVE=1, NON_BLOCKING=2)
portalocker.lock, portalocker.LockException, portalocker.AlreadyLocked = (
    lock, LockException, AlreadyLocked
)
sys.modules["portalocker"] = portalocker
"""

PROGRAM = """
from PIL import Image

import fish_jax
from fish_jax.errors import UserError
from fish_jax.runs import directory
from fish_jax.utils import files
from helpers.tiny import tiny_config

files.WINDOWS = True
folder = files.Path(sys.argv[1])
(folder / "photos").mkdir()
for index, image in enumerate(numpy.random.default_rng(0).integers(0, 256, (8, 30, 40, 3))):
    Image.fromarray(image.astype("uint8")).save(folder / "photos" / f"{index}.png")
config = tiny_config("lsgan_dense")
config.data.path, config.data.cache = str(folder / "photos"), str(folder / "cache")
config.epochs = 1
for _ in range(2):  # the second start finds the cache and the checkpoint
    state = fish_jax.train(config, folder / "run")
with directory.open_run(folder / "run"):
    try:
        fish_jax.train(config, folder / "run")
    except UserError as error:
        refused = str(error)
images = fish_jax.sample(folder / "run", [0, 1])
(folder / "run" / "metrics.jsonl.0badcafe.partial").write_bytes(b"of a writer that was killed")
os.utime(folder / "run" / "metrics.jsonl.0badcafe.partial", (0, 0))
with files.replacing(folder / "run" / "slow.txt"):
    files.remove_partial(folder / "run")
partial = [path.name for path in folder.rglob("*.partial")]
modules = [module.name for module in pkgutil.walk_packages(fish_jax.__path__, "fish_jax.")]
for name in modules:
    __import__(name)
found = {"step": int(state.step), "shape": images.shape, "refused": refused, "partial": partial}
print(json.dumps(found | {"modules": len(modules)}))
"""


@pytest.mark.slow
def test_two_steps_and_samples_without_unix(tmp_path):
    command = [sys.executable, "-c", AS_ON_WINDOWS + PROGRAM, str(tmp_path)]
    environment = {"PYTHONPATH": "." + os.pathsep + "tests"}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("refused").startswith(
        f"{tmp_path / 'run'} is in use: another process trains there; wait for it"
    )
    assert found.pop("modules") > 100
    assert found == {"step": 2, "shape": [2, 20, 40, 3], "partial": []}
