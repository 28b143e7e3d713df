/** Rows of studies and series that answers show: something of them is known, or an archive says that it has them. */
export const shown = (alias: string): string => `(${alias}.instances > 0 OR ${alias}.said IS NOT NULL)`;
