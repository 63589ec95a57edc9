/** Text of strangers without characters that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, '\uFFFD');
}
