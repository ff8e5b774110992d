import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import type { Schemas } from '@/api/client';

use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

export type Stretch = Schemas['DashboardStretch'];
export interface Words {
  allowed: string;
  refused: string;
  observed: string;
}
export interface Drawing {
  show(stretches: Stretch[], isByDay: boolean, words: Words, language: string): void;
  resize(): void;
  end(): void;
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The hour in the viewer's own time; a day is one of UTC, as it was counted. */
const format = (language: string, isByDay: boolean) =>
  new Intl.DateTimeFormat(language, isByDay ? { month: 'short', day: 'numeric', timeZone: 'UTC' } : { hour: '2-digit', minute: '2-digit', hour12: false });

/**
 * Bars of what broke a rule, and on an axis of its own a line of what went on: there is far more of it. The hints are drawn,
 * not written as HTML: the page's policy forbids their styles.
 */
export function draw(place: HTMLElement): Drawing {
  const chart = init(place);
  const bar = (name: string, tone: string, data: number[]) => ({ name, type: 'bar' as const, stack: 'broken', barMaxWidth: 18, itemStyle: { color: color(tone) }, data });
  const line = (name: string, tone: string, data: number[]) => ({ name, type: 'line' as const, yAxisIndex: 1, symbol: 'none', lineStyle: { width: 2, color: color(tone) }, itemStyle: { color: color(tone) }, data });
  return {
    show(stretches, isByDay, words, language) {
      const time = format(language, isByDay);
      const count = new Intl.NumberFormat(language, { notation: 'compact' });
      const text = { color: color('--s-muted') };
      const axis = { type: 'value' as const, minInterval: 1, axisLabel: { ...text, formatter: (value: number) => count.format(value) } };
      chart.setOption({
        animation: false,
        grid: { left: 8, right: 8, top: 34, bottom: 4, containLabel: true },
        legend: { top: 0, left: 0, itemWidth: 10, itemHeight: 10, textStyle: text },
        tooltip: { trigger: 'axis', renderMode: 'richText', backgroundColor: color('--s-raised'), borderColor: color('--s-line'), textStyle: { color: color('--s-text') } },
        xAxis: { type: 'category', data: stretches.map((one) => time.format(Date.parse(one.from))), axisTick: { show: false }, axisLine: { lineStyle: { color: color('--s-line') } }, axisLabel: text },
        yAxis: [{ ...axis, splitLine: { lineStyle: { color: color('--s-line') } } }, { ...axis, splitLine: { show: false } }],
        series: [
          bar(words.refused, '--s-bad', stretches.map((one) => one.refused)),
          bar(words.observed, '--s-warn', stretches.map((one) => one.observed)),
          line(words.allowed, '--s-accent', stretches.map((one) => one.allowed)),
        ],
      });
    },
    resize: () => chart.resize(),
    end: () => chart.dispose(),
  };
}
