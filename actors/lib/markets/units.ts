/**
 * Units. Every amount is an integer, so that sums are exact:
 * - `Price`: ten-thousandths of a dollar, 1 to 9,999; the finest tick of the exchange is one of them.
 * - `Shares`: hundredths of a share; the exchange takes two decimals.
 * - `Micro`: millionths of a dollar. Price times shares is exactly that, without rounding.
 * What has to be rounded is rounded against us: bids and depth down, asks and fees up.
 */
export type Price = number
export type Shares = number
export type Micro = number

/** What one share pays when its side wins, as a Price. */
export const onePrice: Price = 10_000
/** One share. */
export const oneShare: Shares = 100
/** One dollar. */
export const oneDollar: Micro = 1_000_000

// An amount times ten to the places is rarely a whole number in binary; anything nearer than this is meant to be one.
const noise = 1e-6

/** Rounds down to a whole number, but not below one that is only missed by binary noise. */
export function floorNear(value: number): number {
  const near = Math.round(value)
  return Math.abs(value - near) < noise ? near : Math.floor(value)
}

/** Rounds up to a whole number, but not above one that is only missed by binary noise. */
export function ceilNear(value: number): number {
  const near = Math.round(value)
  return Math.abs(value - near) < noise ? near : Math.ceil(value)
}

/** Dollars for people, columns of numeric type and JSON. */
export function dollars(amount: Micro): number {
  return amount / oneDollar
}

/** Dollars as micro-dollars; what is beyond the sixth decimal is cut off. */
export function micro(amount: number): Micro {
  return floorNear(amount * oneDollar)
}

/** Shares for people, columns of numeric type and JSON. */
export function shareCount(shares: Shares): number {
  return shares / oneShare
}

/** A price for people, columns of numeric type and JSON: 0 to 1. */
export function priceOf(price: Price): number {
  return price / onePrice
}

/** What so many shares cost at a price: exact. */
export function costOf(price: Price, shares: Shares): Micro {
  return price * shares
}
