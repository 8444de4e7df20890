/** Ms that a timer of Node can wait for; it takes more for nothing. */
export const longestTimer = 2 ** 31 - 1
