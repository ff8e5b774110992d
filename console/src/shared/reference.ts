/** A whole reference, as a refused client is shown it. */
export const REFERENCE = /^sr_[0-9a-z]{8,40}$/i;
