// Names of tables and columns as a statement has to write them.
const RESERVED = new Set(
  ('all and any as asc between both by case cast check collate column constraint create cross current_date current_time current_user default delete desc distinct drop else end ' +
    'except exists false fetch for foreign from full grant group having in index inner insert intersect into is join key leading left like limit natural not null offset on or ' +
    'order outer over primary range references right row rows select set some table then to trailing true union unique update user using values when where window with').split(' '),
)

/** Quoted where it would not be read as it is. */
export function sqlName(name: string, type: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name)) return name
  return type === 'mysql' ? `\`${name.replaceAll('`', '``')}\`` : `"${name.replaceAll('"', '""')}"`
}

export function tableName(table: { schema?: string | null; name: string }, type: string): string {
  return [table.schema, table.name].filter(Boolean).map((part) => sqlName(part as string, type)).join('.')
}
