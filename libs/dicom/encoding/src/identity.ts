import { charsetOf, splitValues } from '@archipelago/dicom-core';

/** The attributes that say which object this is, picked out of the elements of the dataset itself as they pass. */
export class Identity {
  sopClassUid = '';
  sopInstanceUid = '';
  studyInstanceUid = '';
  seriesInstanceUid = '';
  numberOfFrames = 1;
  private charset = '';
  private patient: Buffer | undefined;
  private seen = 0;

  /** The first element of a tag counts: a later duplicate never takes an identity's place. */
  note(tag: number, bytes: Buffer, start: number, end: number): void {
    switch (tag) {
      case 0x00080005:
        if (this.first(32)) this.charset = bytes.toString('latin1', start, end);
        break;
      case 0x00080016:
        if (this.first(1)) this.sopClassUid = uid(bytes, start, end);
        break;
      case 0x00080018:
        if (this.first(2)) this.sopInstanceUid = uid(bytes, start, end);
        break;
      case 0x0020000d:
        if (this.first(4)) this.studyInstanceUid = uid(bytes, start, end);
        break;
      case 0x0020000e:
        if (this.first(8)) this.seriesInstanceUid = uid(bytes, start, end);
        break;
      case 0x00100020:
        if (this.first(16)) this.patient = Buffer.from(bytes.subarray(start, end));
        break;
      case 0x00280008:
        this.numberOfFrames =
          Math.trunc(Number(bytes.toString('latin1', start, Math.min(end, start + 16)).trim())) || 0;
        break;
    }
  }

  /** Decoded with the dataset's character set; trimmed. */
  get patientId(): string {
    if (!this.patient) return '';
    return splitValues(charsetOf(this.charset).decode(this.patient, 'LO'), 'LO')[0] ?? '';
  }

  /** What is odd about the dataset's SpecificCharacterSet. */
  get charsetWarnings(): readonly string[] {
    return this.charset === '' ? [] : charsetOf(this.charset.trim()).warnings;
  }

  private first(bit: number): boolean {
    const fresh = (this.seen & bit) === 0;
    this.seen |= bit;
    return fresh;
  }
}

function uid(bytes: Buffer, start: number, end: number): string {
  let last = end;
  while (last > start && (bytes[last - 1] === 0 || bytes[last - 1] === 0x20)) last--;
  return bytes.toString('latin1', start, last).trim();
}
