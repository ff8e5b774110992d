import { networkFacts, type NetworkFacts } from '@/shared/network';

export interface NetworkLine {
  text: string;
  facts: NetworkFacts | null;
}

/** Networks as typed, separated by lines, commas or spaces; each once. */
export function readNetworks(text: string): NetworkLine[] {
  const words = text.split(/[\s,，;]+/).filter((word) => word !== '');
  return [...new Set(words)].map((word) => ({ text: word, facts: networkFacts(word) }));
}
