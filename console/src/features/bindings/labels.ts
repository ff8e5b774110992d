/** What the API takes of a binding's remarks. */
export const NOTE_CHARACTERS_MAX = 2_000;
export const LABELS_MAX = 16;
export const LABEL_CHARACTERS_MAX = 32;

/** Labels as typed, separated by commas; each once. */
export function readLabels(text: string): string[] {
  const words = text.split(/[,，]/).map((word) => word.trim()).filter((word) => word !== '');
  return [...new Set(words)];
}

export const isGoodLabel = (label: string): boolean => [...label].length <= LABEL_CHARACTERS_MAX;
