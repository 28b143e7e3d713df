import type { SealedPack } from '@archipelago/pack';

/** `packs/<site>/<yyyy>/<mm>/<dd>/<packId>.pack`, by the day of sealing (UTC): the same at every attempt. */
export function packKey(site: string, pack: Pick<SealedPack, 'packId' | 'sealedAt'>): string {
  const [year, month, day] = pack.sealedAt.slice(0, 10).split('-');
  return `packs/${site}/${year}/${month}/${day}/${pack.packId}.pack`;
}
