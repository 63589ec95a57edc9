import { Parser } from 'htmlparser2';

const kinds = ['ac-discovery', 'ac-discovery-pubkeys'] as const;

/** A tag of a discovery page: `<meta name="KIND" content="PREFIX CONTENT">`. */
export interface MetaTag {
  readonly kind: (typeof kinds)[number];
  /** Of the names that it is for. */
  readonly prefix: string;
  /** A template of a URL, or the URL of keys. */
  readonly content: string;
}

/** The tags of an HTML page, wherever they stand in it (spec: discovery.md, "Meta Discovery"). */
export function metaTags(html: string): MetaTag[] {
  const tags: MetaTag[] = [];
  const parser = new Parser({
    onopentag(element, { name, content = '' }) {
      const kind = kinds.find((one) => one === name);
      const [prefix, value, more] = content.trim().split(/\s+/);
      if (element === 'meta' && kind && prefix && value && more === undefined)
        tags.push({ kind, prefix, content: value });
    },
  });
  parser.end(html);
  return tags;
}
