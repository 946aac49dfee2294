// The scales of charts: ticks at round numbers in one unit, and at round times.
import { bytes, millis, number } from './format'

export type Unit = 'rate' | 'bytes' | 'millis' | 'percent'

interface Scale {
  max: number
  interval: number
  /** A tick in the unit that all ticks of the axis have. */
  tick: (value: number) => string
}

const TICKS = 4
const KIBI = 1024
const UNITS = ['B/s', 'KiB/s', 'MiB/s', 'GiB/s', 'TiB/s']
const MINUTE = 60_000
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 240].map((minutes) => minutes * MINUTE)
const MOST_TIMES = 7

/** The next of 1, 2, 5, 10, 20, 50, … that is no less. */
function round(value: number, least: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= value * 0.999) ?? value
  return Math.max(step, least)
}

function upTo(most: number, least: number, unit: number, tick: (value: number) => string): Scale {
  const interval = round(Math.max(most / unit, least) / TICKS, least) * unit
  const max = Math.max(Math.ceil((most * 1.02) / interval), 2) * interval
  return { max, interval, tick }
}

export function scale(unit: Unit, most: number): Scale {
  switch (unit) {
    case 'percent':
      return { max: 100, interval: 20, tick: (value) => `${number(value)}%` }
    case 'bytes': {
      const power = Math.min(Math.floor(Math.log(Math.max(most, 1)) / Math.log(KIBI)), UNITS.length - 1)
      const size = KIBI ** power
      return upTo(most, 1, size, (value) => (value === 0 ? '0' : `${number(value / size)} ${UNITS[power]}`))
    }
    case 'millis':
      return most >= 2000
        ? upTo(most, 0.1, 1000, (value) => (value === 0 ? '0' : `${number(value / 1000, 1)} s`))
        : upTo(most, 0.1, 1, (value) => (value === 0 ? '0' : `${number(value, 1)} ms`))
    case 'rate':
      return upTo(most, 0.05, 1, (value) => (value === 0 ? '0' : `${number(value, 2)}/s`))
  }
}

/** A value as the tip of the pointer shows it. */
export function exactly(unit: Unit, value: number): string {
  return { rate: () => `${number(value, 2)}/s`, bytes: () => `${bytes(value)}/s`, millis: () => millis(value), percent: () => `${number(value, 1)}%` }[unit]()
}

/** Regular round times between two, few enough to stand side by side. */
export function times(from: number, to: number): number[] {
  const step = STEPS.find((one) => (to - from) / one <= MOST_TIMES) ?? STEPS[STEPS.length - 1]!
  // Days begin where the reader is.
  const shift = new Date(to).getTimezoneOffset() * MINUTE
  const found: number[] = []
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) found.push(at)
  return found
}
