const SAMPLE = /^([A-Za-z_:][\w:]*)(\{(.*)\})?(\s.+)$/;

/**
 * Joins the Prometheus texts of several processes into one: each sample gets the label `process`, each family its HELP
 * and TYPE once and its samples together, as the exposition format wants it.
 */
export function mergeMetrics(texts: Record<string, string>): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const [process, text] of Object.entries(texts)) {
    let family = '';
    for (const line of text.split('\n')) {
      const head = /^# (HELP|TYPE) (\S+)/.exec(line);
      if (head) {
        family = head[2] as string;
        const entry = families.get(family) ?? { head: [], samples: [] };
        families.set(family, entry);
        if (!entry.head.some((each) => each.startsWith(`# ${head[1]} `))) entry.head.push(line);
        continue;
      }
      const sample = SAMPLE.exec(line);
      if (!sample) continue;
      const [, name, , labels, rest] = sample;
      const key = name?.startsWith(family) && family !== '' ? family : (name as string);
      const entry = families.get(key) ?? { head: [], samples: [] };
      families.set(key, entry);
      entry.samples.push(`${name}{process="${process}"${labels ? `,${labels}` : ''}}${rest}`);
    }
  }
  const lines = [...families.values()].flatMap((family) => [...family.head, ...family.samples]);
  return lines.length > 0 ? `${lines.join('\n')}\n` : '';
}
