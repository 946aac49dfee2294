// What of ECharts is built in, and the one kind of chart that the pages use: lines over time.
import { LineChart, type LineSeriesOption } from 'echarts/charts'
import { GridComponent, LegendComponent, TooltipComponent, type GridComponentOption, type LegendComponentOption, type TooltipComponentOption } from 'echarts/components'
import { init, use, type ComposeOption, type ECharts } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { clock } from './format'
import { exactly, scale, times, type Unit } from './scale'

use([LineChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer])

export type Option = ComposeOption<LineSeriesOption | GridComponentOption | LegendComponentOption | TooltipComponentOption>
export type { ECharts }
export { init }

export interface Line {
  name: string
  color: string
  points: [string, number | null][]
  filled?: boolean
}

/** Colours come from the theme, which the canvas cannot see by itself. */
const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** `seconds` fixes how far back the axis goes, for charts that begin empty; else all points are on it, also those without a value. */
export function lines(series: Line[], unit: Unit, seconds?: number): Option {
  const at = series.flatMap((one) => one.points.map(([time]) => Date.parse(time)))
  const to = at.length ? Math.max(...at) : Date.now()
  const from = seconds || !at.length ? to - (seconds ?? 3600) * 1000 : Math.min(...at)
  const y = scale(unit, Math.max(0, ...series.flatMap((one) => one.points.map(([, value]) => value ?? 0))))
  const customValues = times(from, to)
  const muted = colour('--muted')
  const line = colour('--line')
  return {
    animation: false,
    // Fixed, so that charts beside each other have one axis of time.
    grid: { left: 70, right: 18, top: series.length > 1 ? 34 : 16, bottom: 24 },
    legend: series.length > 1 ? { top: 0, right: 0, icon: 'roundRect', itemWidth: 12, itemHeight: 3, textStyle: { color: muted } } : { show: false },
    tooltip: {
      trigger: 'axis',
      backgroundColor: colour('--surface'),
      borderColor: line,
      textStyle: { color: colour('--text'), fontSize: 12 },
      axisPointer: { label: { show: false } },
      valueFormatter: (value) => (typeof value === 'number' ? exactly(unit, value) : '–'),
    },
    xAxis: {
      type: 'time', min: from, max: to, axisLine: { lineStyle: { color: line } }, axisTick: { customValues },
      axisLabel: { color: muted, hideOverlap: true, customValues, formatter: (value) => clock(value) }, splitLine: { show: false },
    },
    yAxis: { type: 'value', min: 0, max: y.max, interval: y.interval, axisLabel: { color: muted, formatter: y.tick }, splitLine: { lineStyle: { color: line } } },
    series: series.map((one) => ({
      type: 'line',
      name: one.name,
      data: one.points,
      // A point with nothing beside it has no line to show it.
      showSymbol: one.points.filter(([, value]) => value !== null).length < 8,
      symbolSize: 4,
      connectNulls: false,
      color: one.color.startsWith('--') ? colour(one.color) : one.color,
      lineStyle: { width: 1.6 },
      ...(one.filled && { areaStyle: { opacity: 0.14 } }),
    })),
  }
}
