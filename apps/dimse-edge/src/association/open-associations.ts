import type { OpenAssociations } from './association-policy';

/** Counts open associations by caller. */
export class AssociationCounter implements OpenAssociations {
  private readonly byCaller = new Map<string, number>();
  private unknown = 0;
  private all = 0;

  get total(): number {
    return this.all;
  }

  ofCaller(key: string): number {
    return this.byCaller.get(key) ?? 0;
  }

  ofUnknown(): number {
    return this.unknown;
  }

  opened(key: string, known: boolean): void {
    this.byCaller.set(key, this.ofCaller(key) + 1);
    this.all++;
    if (!known) this.unknown++;
  }

  closed(key: string, known: boolean): void {
    const left = this.ofCaller(key) - 1;
    if (left > 0) this.byCaller.set(key, left);
    else this.byCaller.delete(key);
    this.all--;
    if (!known) this.unknown--;
  }
}
