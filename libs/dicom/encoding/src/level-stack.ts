/** Open sequences and items, without recursion: what is known of each level. Index 0 is the dataset itself. */
export class LevelStack {
  /** Number of open sequences and items. */
  depth = 0;
  inSequence = false;
  implicit: boolean;
  bigEndian: boolean;
  /** Where the level, or the nearest around it that has one, ends; Infinity when none has. */
  end = Infinity;
  undefinedLength = true;
  lastTag = -1;
  /** Elements of this level so far. */
  elements = 0;
  /** PixelRepresentation of the level or the nearest around it. */
  signed = false;

  private creators: Map<number, string> | undefined;
  private readonly saved: {
    inSequence: boolean;
    implicit: boolean;
    bigEndian: boolean;
    end: number;
    undefinedLength: boolean;
    lastTag: number;
    elements: number;
    signed: boolean;
    creators: Map<number, string> | undefined;
  }[] = [];
  private sequences = 0;

  constructor(
    private readonly maxDepth: number,
    implicit: boolean,
    bigEndian: boolean,
  ) {
    this.implicit = implicit;
    this.bigEndian = bigEndian;
  }

  setRoot(implicit: boolean, bigEndian: boolean): void {
    this.implicit = implicit;
    this.bigEndian = bigEndian;
  }

  /** `end` -1 for undefined length. False when the sequences would be nested too deep. */
  pushSequence(end: number, implicit: boolean, bigEndian: boolean): boolean {
    if (++this.sequences > this.maxDepth) return false;
    this.save();
    this.inSequence = true;
    this.implicit = implicit;
    this.bigEndian = bigEndian;
    this.setEnd(end);
    return true;
  }

  pushItem(end: number): boolean {
    this.save();
    this.inSequence = false;
    this.lastTag = -1;
    this.elements = 0;
    this.creators = undefined;
    this.setEnd(end);
    return true;
  }

  pop(): void {
    if (this.inSequence) this.sequences--;
    const level = this.saved.pop();
    if (!level) return;
    this.depth--;
    this.inSequence = level.inSequence;
    this.implicit = level.implicit;
    this.bigEndian = level.bigEndian;
    this.end = level.end;
    this.undefinedLength = level.undefinedLength;
    this.lastTag = level.lastTag;
    this.elements = level.elements;
    this.signed = level.signed;
    this.creators = level.creators;
  }

  reserve(tag: number, creator: string): void {
    this.creators ??= new Map();
    // eslint-disable-next-line no-control-regex
    this.creators.set(tag, creator.replace(/[ \0]+$/, '').trimStart());
  }

  /** The private creator that reserved the block of this element (PS3.5 section 7.8.1). */
  creator(tag: number): string | undefined {
    if (this.creators === undefined) return undefined;
    return this.creators.get(Math.floor(tag / 0x10000) * 0x10000 + ((tag >> 8) & 0xff));
  }

  private setEnd(end: number): void {
    this.undefinedLength = end < 0;
    if (end >= 0) this.end = end;
  }

  private save(): void {
    this.saved.push({
      inSequence: this.inSequence,
      implicit: this.implicit,
      bigEndian: this.bigEndian,
      end: this.end,
      undefinedLength: this.undefinedLength,
      lastTag: this.lastTag,
      elements: this.elements,
      signed: this.signed,
      creators: this.creators,
    });
    this.depth++;
  }
}
