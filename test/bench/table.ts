/** Lines of columns: the first flush left, the others flush right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      widths
        .map((width, column) => {
          const text = row[column] ?? '';
          return column === 0 ? text.padEnd(width) : text.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function ratio(a: number, b: number): string {
  return (a / b).toFixed(2);
}

export function milliseconds(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

export function megabytes(value: number): string {
  return (value / 1e6).toFixed(1);
}
