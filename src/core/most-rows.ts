/** Rows of one read: a longer answer would be cut without a word. */
export const mostRows = 1_000
