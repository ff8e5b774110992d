import { useI18n } from 'vue-i18n';
import type { Explanation } from './queries';

export type Step = Explanation['steps'][number];

/** The step that only repeats the outcome. */
const OUTCOME = 'outcome';

/** What led to the outcome. */
export const stepsBefore = (explanation: Explanation): Step[] => explanation.steps.filter((step) => step.name !== OUTCOME);

/** What the console knows a step by: its name and how it went. A known key is told from an unknown one by what follows. */
export function variantOf(step: Step, steps: Step[]): string {
  if (step.name !== 'key') return `${step.name}.${step.ok ? 'ok' : 'no'}`;
  if (!step.ok) return 'key.banned';
  return steps.some((one) => one.name === 'network') ? 'key.bound' : 'key.unbound';
}

export interface StepWords {
  title: string;
  text: string;
  /** The server's own English text, where `text` is the console's and says less. */
  original: string;
}

/** A step in the operator's language: the server's words in English, and the console's own by the step's name elsewhere. */
export function useStepWords(): (step: Step, steps: Step[]) => StepWords {
  const { t, te, locale } = useI18n();
  return (step, steps) => {
    const title = te(`explain.names.${step.name}`, 'en') ? t(`explain.names.${step.name}`) : step.name;
    const key = `explain.steps.${variantOf(step, steps)}`;
    if (locale.value === 'en' || !te(key)) return { title, text: step.text, original: '' };
    return { title, text: t(key), original: step.text };
  };
}
