import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import type { Schemas } from '@/api/client';

use([BarChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

export interface Drawing {
  show(hours: Schemas['DashboardStretch'][], words: { refused: string; observed: string }, language: string): void;
  resize(): void;
  end(): void;
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Bars by the hour. The hints are drawn, not written as HTML: the page's policy forbids their styles. */
export function draw(place: HTMLElement): Drawing {
  const chart = init(place);
  const bar = (name: string, tone: string, values: number[]) => ({ name, type: 'bar' as const, stack: 'all', barMaxWidth: 18, itemStyle: { color: color(tone) }, data: values });
  return {
    show(hours, words, language) {
      const hour = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hour12: false });
      const text = { color: color('--s-muted') };
      chart.setOption({
        animation: false,
        grid: { left: 8, right: 8, top: 34, bottom: 4, containLabel: true },
        legend: { top: 0, left: 0, itemWidth: 10, itemHeight: 10, textStyle: text },
        tooltip: { trigger: 'axis', renderMode: 'richText', backgroundColor: color('--s-raised'), borderColor: color('--s-line'), textStyle: { color: color('--s-text') } },
        xAxis: { type: 'category', data: hours.map((one) => hour.format(Date.parse(one.from))), axisTick: { show: false }, axisLine: { lineStyle: { color: color('--s-line') } }, axisLabel: text },
        yAxis: { type: 'value', minInterval: 1, axisLabel: text, splitLine: { lineStyle: { color: color('--s-line') } } },
        series: [
          bar(words.refused, '--s-bad', hours.map((one) => one.refused)),
          bar(words.observed, '--s-warn', hours.map((one) => one.observed)),
        ],
      });
    },
    resize: () => chart.resize(),
    end: () => chart.dispose(),
  };
}
