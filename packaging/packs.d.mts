type Join = (...parts: string[]) => string;
export function quickJoin(join: Join): Join;
