"""Arrays in .npy and .npz files: what hostile ones may take."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from fish_jax.utils import npz

MEGABYTE = 1 << 20


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive_of(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_comes_back(save):
    file, arrays = io.BytesIO(), {"a": np.arange(6.0).reshape(2, 3), "b": np.uint8([[1], [2]]).T}
    save(file, **arrays)
    found = npz.list_arrays(npz.open_archive(file))
    assert {name: (each.shape, each.dtype) for name, each in found.items()} == {
        "a": ((2, 3), np.dtype(float)),
        "b": ((1, 2), np.dtype(np.uint8)),
    }
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].load(), array)


def test_a_header_leaves_the_file_at_the_numbers():
    content = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    file = io.BytesIO(npy(content))
    assert npz.read_header(file) == ((2, 3), True, np.dtype(np.uint8))
    assert file.read() == bytes([0, 3, 1, 4, 2, 5])


def peak_of(refused):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            refused()
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_header_is_not_read():
    """Sixty kilobytes of a zip hold a header of 64 megabytes, up to 2 GB."""
    length = 64 * MEGABYTE
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", length) + b" " * length
    file = archive_of({"a.npy": long}, zipfile.ZIP_DEFLATED)
    del long
    message, peak = peak_of(lambda: npz.list_arrays(npz.open_archive(file)))
    assert message == "its header is too long" and peak < 2 * MEGABYTE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_not_unpacked_piecewise_is_refused(method):
    file = archive_of({"a.npy": npy(np.zeros(8 * MEGABYTE, np.uint8))}, method)
    message, peak = peak_of(lambda: npz.list_arrays(npz.open_archive(file)))
    assert message == "packed in a way that NumPy does not use" and peak < MEGABYTE


def test_a_long_list_of_entries_is_not_read():
    """A million entries take half a gigabyte."""
    content = bytearray(archive_of({"a.npy": npy(np.zeros(3))}).getvalue())
    start = content.rindex(b"PK\x05\x06")  # the end of the directory, with its size
    size = 4 * MEGABYTE
    padded = content[:start] + bytes(size) + content[start:]
    struct.pack_into("<I", padded, start + size + 12, size)
    file = io.BytesIO(padded)
    message, peak = peak_of(lambda: npz.open_archive(file))
    assert message == "its list of entries is larger than 1 MB" and peak < MEGABYTE


def test_our_own_files_are_never_packed(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(archive_of({"a.npy": npy(np.zeros(3))}, zipfile.ZIP_DEFLATED).getvalue())
    with pytest.raises(ValueError, match="its arrays are packed"):
        npz.read_stored(path)


def test_arrays_do_not_lie_in_each_other(tmp_path):
    """A hundred entries of one array would take a hundred times the file."""
    content = archive_of({"a.npy": npy(np.zeros(MEGABYTE, np.uint8))}).getvalue()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry, tail = content[start:end], bytearray(content[end:])
    struct.pack_into("<HHI", tail, 8, 100, 100, 100 * len(entry))
    path = tmp_path / "a.npz"
    path.write_bytes(content[:start] + entry * 100 + tail)
    with pytest.raises(ValueError, match="its arrays are larger than the file"):
        npz.read_stored(path)
