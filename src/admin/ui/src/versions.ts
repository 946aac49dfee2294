// Which of two versions is older, as semantic versions are ordered.
function parts(version: string): { numbers: number[]; before: string[] } {
  const [main = '', before = ''] = version.replace(/\+.*$/, '').split(/-(.*)/s)
  return { numbers: main.split('.').map(Number), before: before ? before.split('.') : [] }
}

function compareWords(a: string, b: string): number {
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (isNumberA && isNumberB) return Number(a) - Number(b)
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

export function compareVersions(a: string, b: string): number {
  const [one, other] = [parts(a), parts(b)]
  for (let at = 0; at < 3; at += 1) {
    const apart = (one.numbers[at] ?? 0) - (other.numbers[at] ?? 0)
    if (apart) return apart
  }
  // What comes before a release has words behind it.
  if (!one.before.length || !other.before.length) return other.before.length - one.before.length
  for (const [at, word] of one.before.entries()) {
    const against = other.before[at]
    if (against === undefined) return 1
    const apart = compareWords(word, against)
    if (apart) return apart
  }
  return one.before.length - other.before.length
}
