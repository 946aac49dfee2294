// Numbers, times and sizes as people read them.
import { locale, t } from './i18n'

const tag = () => (locale.value === 'zh' ? 'zh-CN' : 'en-GB')

export function number(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  return value.toLocaleString(tag(), { maximumFractionDigits: digits })
}

export function percent(ratio: number | null | undefined, digits = 1): string {
  return ratio === null || ratio === undefined ? '–' : `${number(ratio * 100, digits)}%`
}

export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  if (value >= 10_000) return `${number(value / 1000, 1)} s`
  return `${number(value, value < 10 ? 1 : 0)} ms`
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let left = value
  let unit = 0
  while (left >= 1024 && unit < units.length - 1) {
    left /= 1024
    unit += 1
  }
  return `${number(left, left < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`
}

const two = (value: number) => String(value).padStart(2, '0')

/** In the reader's time zone, in the one form that sorts and fits a column. */
export function time(value: unknown): string {
  if (typeof value !== 'string' || !value) return '–'
  const at = new Date(value)
  // A definition's dates are free text, and a plain date has no time of day.
  if (Number.isNaN(at.getTime()) || /^\d{4}-\d{2}-\d{2}$/.test(value)) return value
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** The time of day, as a chart's axis has it. */
export function clock(at: number): string {
  const date = new Date(at)
  return `${two(date.getHours())}:${two(date.getMinutes())}`
}

export function ago(value: string | null | undefined): string {
  if (!value) return '–'
  const seconds = (new Date(value).getTime() - Date.now()) / 1000
  const format = new Intl.RelativeTimeFormat(tag(), { numeric: 'auto' })
  const size = Math.abs(seconds)
  if (size < 60) return format.format(Math.round(seconds), 'second')
  if (size < 3600) return format.format(Math.round(seconds / 60), 'minute')
  if (size < 86_400) return format.format(Math.round(seconds / 3600), 'hour')
  return format.format(Math.round(seconds / 86_400), 'day')
}

export function span(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor((seconds % 86_400) / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  if (days > 0) return t('span.days', { days, hours })
  return hours > 0 ? t('span.hours', { hours, minutes }) : t('span.minutes', { minutes })
}

/** How long to wait, in whole minutes until the last one. */
export function duration(seconds: number): string {
  return seconds > 60 ? t('span.about.minutes', { minutes: Math.ceil(seconds / 60) }) : t('span.about.seconds', { seconds })
}

/** A value in a cell or a line of text. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
