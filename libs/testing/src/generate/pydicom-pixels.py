"""Decodes what pydicom and pylibjpeg can decode of the files on stdin (or of pydicom's own files with --package).

One JSON line a file: path, rgb and raw (files with the samples little endian, interleaved by pixel), or error.
Usage: pydicom-pixels.py OUTPUT_FOLDER [--package] < paths
"""
import json
import os
import sys

import numpy
import pydicom
from pydicom.pixels import pixel_array

OUT = sys.argv[1]
MOST_BYTES = 64 * 1024 * 1024


def package_files():
    root = os.path.join(os.path.dirname(pydicom.__file__), "data", "test_files")
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            yield os.path.join(folder, name)


def save(path, number, raw):
    array = pixel_array(path, raw=raw)
    if array.nbytes > MOST_BYTES:
        raise ValueError("large")
    name = os.path.join(OUT, f"{number}-{'raw' if raw else 'rgb'}")
    array.astype(array.dtype.newbyteorder("<")).tofile(name)
    return name


paths = list(package_files()) if "--package" in sys.argv else [line for line in sys.stdin.read().split("\n") if line]
for number, path in enumerate(paths):
    out = {"path": path}
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if header.BitsAllocated in (1, 64):
            raise ValueError("another layout")
        out["raw"] = save(path, number, True)
        out["rgb"] = save(path, number, False) if header.SamplesPerPixel == 3 else out["raw"]
    except Exception as error:
        out["error"] = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps(out))
