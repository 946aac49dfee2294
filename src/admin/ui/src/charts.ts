// What of ECharts is built in, and the one kind of chart that the pages use: lines over time.
import { LineChart, type LineSeriesOption } from 'echarts/charts'
import { GridComponent, LegendComponent, TooltipComponent, type GridComponentOption, type LegendComponentOption, type TooltipComponentOption } from 'echarts/components'
import { init, use, type ComposeOption, type ECharts } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

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

/** `seconds` fixes how far back the axis goes, for charts that begin empty. */
export function lines(series: Line[], show: (value: number) => string, seconds?: number): Option {
  const muted = colour('--muted')
  const line = colour('--line')
  return {
    animation: false,
    grid: { left: 8, right: 12, top: series.length > 1 ? 34 : 16, bottom: 4, containLabel: true },
    legend: series.length > 1 ? { top: 0, right: 0, icon: 'roundRect', itemWidth: 12, itemHeight: 3, textStyle: { color: muted } } : { show: false },
    tooltip: {
      trigger: 'axis',
      backgroundColor: colour('--surface'),
      borderColor: line,
      textStyle: { color: colour('--text'), fontSize: 12 },
      valueFormatter: (value) => (typeof value === 'number' ? show(value) : '–'),
    },
    xAxis: { type: 'time', ...(seconds && { min: Date.now() - seconds * 1000, max: Date.now() }), axisLine: { lineStyle: { color: line } }, axisLabel: { color: muted, hideOverlap: true }, splitLine: { show: false } },
    yAxis: { type: 'value', min: 0, minInterval: 1, axisLabel: { color: muted, formatter: show }, splitLine: { lineStyle: { color: line } } },
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
