// The browser and the system behind a User-Agent header, as short as people say them.
const BROWSERS: [RegExp, string][] = [[/Edg\/(\d+)/, 'Edge'], [/OPR\/(\d+)/, 'Opera'], [/Firefox\/(\d+)/, 'Firefox'], [/(?:Headless)?Chrome\/(\d+)/, 'Chrome'], [/Version\/(\d+).*Safari\//, 'Safari']]
const SYSTEMS: [RegExp, string][] = [[/Windows/, 'Windows'], [/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Mac OS X/, 'macOS'], [/CrOS/, 'ChromeOS'], [/Linux/, 'Linux']]

/** Such as `Chrome 120 · Linux`; what is no browser stays as it is. */
export function agent(header: string): string {
  const found = BROWSERS.map(([shape, name]) => ({ name, version: shape.exec(header)?.[1] })).find((one) => one.version)
  if (!found) return header
  const system = SYSTEMS.find(([shape]) => shape.test(header))?.[1]
  return [`${found.name} ${found.version}`, system].filter(Boolean).join(' · ')
}
