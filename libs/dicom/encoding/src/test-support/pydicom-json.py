"""Reads Part 10 files with pydicom and prints, one JSON line per path of stdin, what pydicom makes of each.

{"path": ..., "syntax": ..., "json": DICOM JSON model} or {"path": ..., "error": ...}. Binary values over 4096 bytes and
the pixel data come as BulkDataURI. With --package the paths are those of the test files that pydicom brings, but for
those whose name says that they are broken.
"""
import json
import sys
import warnings
from pathlib import Path

import pydicom
from pydicom import config

warnings.simplefilter('ignore')
config.settings.reading_validation_mode = config.IGNORE


def describe(path):
    try:
        dataset = pydicom.dcmread(path, force=True)
        syntax = str(dataset.file_meta.get('TransferSyntaxUID', ''))
        model = {}
        for element in dataset:
            if element.tag.element == 0 or element.tag == 0xFFFCFFFC:
                continue
            key = f'{int(element.tag):08X}'
            if element.tag.group == 0x7FE0 and element.tag.element in (0x08, 0x09, 0x10):
                model[key] = {'vr': element.VR, 'BulkDataURI': 'bulk'}
                continue
            try:
                model[key] = element.to_json_dict(bulk_data_element_handler=lambda e: 'bulk', bulk_data_threshold=5000)
            except Exception as error:
                model[key] = {'vr': element.VR, 'failed': type(error).__name__}
        return {'path': path, 'syntax': syntax, 'json': model}
    except Exception as error:
        return {'path': path, 'error': f'{type(error).__name__}: {error}'[:200]}


def main():
    if '--package' in sys.argv:
        folder = Path(pydicom.__file__).parent / 'data'
        paths = sorted(str(p) for kind in ('test_files', 'charset_files') for p in (folder / kind).rglob('*') if p.is_file())
        paths = [p for p in paths if p.endswith('.dcm') or '.' not in Path(p).name]
    else:
        paths = sys.stdin.read().splitlines()
    for path in paths:
        print(json.dumps(describe(path)))


if __name__ == '__main__':
    main()
