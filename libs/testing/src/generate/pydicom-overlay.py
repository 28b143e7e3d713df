"""Compares overlaid files with their originals by pydicom. Input: one JSON object per line, {original, shown, name, id,
texts}; without texts converted text is not compared, because pydicom does not read that of the original.

Prints {"shown": path, "problems": [...], "converted": bool} per line. What may differ: PatientName and PatientID, the
originals' sequence, signatures, group lengths, and with ISO_IR 192 the character set and the bytes of text.
"""
import json
import sys
import warnings

import pydicom
from pydicom import config

warnings.simplefilter('ignore')
config.settings.reading_validation_mode = config.IGNORE
CHANGED = {0x00100010, 0x00100020, 0x04000561, 0xFFFAFFFA, 0x4FFE0001, 0x00080001}
TEXT = {'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT', 'SQ'}


def text_of(element):
    """The values without padding, as text; sequences by their elements."""
    if element.VR == 'SQ':
        return [[(e.tag, text_of(e)) for e in item if e.tag.element != 0 and e.tag != 0x00080005] for item in element.value]
    return str(element.value).rstrip(' \0')


def raw(dataset, tag):
    value = dataset.get_item(tag).value
    return value if isinstance(value, bytes) or value is None else None


def compare(original, shown, name, patient_id, texts):
    before = pydicom.dcmread(original, force=True)
    after = pydicom.dcmread(shown)
    problems = []
    converted = after.get('SpecificCharacterSet') == 'ISO_IR 192' and before.get('SpecificCharacterSet') != 'ISO_IR 192'
    stored = {tag: raw(before, tag) for tag in (0x00100010, 0x00100020) if tag in before}
    tags = [int(t) for t in before.keys()]
    kept = [t for t in tags if t not in CHANGED and t & 0xFFFF and not (converted and t == 0x00080005)]
    for tag in kept:
        if tag not in after:
            problems.append(f'{tag:08X} is missing')
            continue
        one, other = raw(before, tag), raw(after, tag)
        if one is not None and other is not None and one == other:
            continue
        if one is not None and other is not None and not converted:
            problems.append(f'{tag:08X} differs')
            continue
        if converted and not texts and before[tag].VR in TEXT:
            continue
        try:
            if text_of(before[tag]) != text_of(after[tag]):
                problems.append(f'{tag:08X} has another text')
        except Exception as error:
            problems.append(f'{tag:08X}: {type(error).__name__}')
    extra = {int(t) for t in after.keys()} - set(tags) - CHANGED - {0x00080005}
    if extra:
        problems.append(f'new: {sorted(extra)}')
    if sorted(after.keys()) != list(after.keys()) and sorted(before.keys()) == list(before.keys()):
        problems.append('order')
    if str(after.get('PatientName')) != name:
        problems.append('PatientName')
    if after.get('PatientID') != patient_id:
        problems.append('PatientID')
    if stored:
        item = after.OriginalAttributesSequence[-1]
        if item.ModifyingSystem != 'ARCHIPELAGO' or item.ReasonForTheAttributeModification != 'COERCE':
            problems.append('item')
        told = item.ModifiedAttributesSequence[0]
        if {int(t) for t in told.keys()} != set(stored):
            problems.append('originals')
        for tag in stored:
            if not (converted and not texts) and str(told[tag].value).strip() != str(before[tag].value).strip():
                problems.append(f'original of {tag:08X}')
    if 'OriginalAttributesSequence' in before:
        count = len(before.OriginalAttributesSequence) + (1 if stored else 0)
        if len(after.OriginalAttributesSequence) != count:
            problems.append('older originals')
    return problems, converted


for line in sys.stdin:
    job = json.loads(line)
    try:
        problems, converted = compare(job['original'], job['shown'], job['name'], job['id'], job['texts'])
    except Exception as error:
        problems, converted = [f'{type(error).__name__}: {error}'[:200]], False
    print(json.dumps({'shown': job['shown'], 'problems': problems, 'converted': converted}))
