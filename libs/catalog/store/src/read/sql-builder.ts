/** Collects parameters: values reach PostgreSQL as parameters only, never as text of the statement. */
export class SqlBuilder {
  readonly values: unknown[] = [];

  /** A placeholder for the value, with a cast where the type must be known. */
  param(value: unknown, cast = ''): string {
    this.values.push(value);
    return `$${this.values.length}${cast === '' ? '' : `::${cast}`}`;
  }
}
