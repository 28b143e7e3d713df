const MOST = 20_000;

/** Which packs on this edge's disk hold fetched objects, and of which studies: what a grant lets another edge read. */
export class ArrivedPacks {
  private readonly studies = new Map<string, Set<string>>();

  add(packId: string, study: string): void {
    const known = this.studies.get(packId);
    if (known) known.add(study);
    else this.studies.set(packId, new Set([study]));
    if (this.studies.size > MOST) this.studies.delete(this.studies.keys().next().value!);
  }

  /** Only that study is in it: a grant for one study never opens another one. */
  isOf(packId: string, study: string): boolean {
    const known = this.studies.get(packId);
    return known?.size === 1 && known.has(study);
  }
}
