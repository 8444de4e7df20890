import { defineActor } from 'troupe/actor'
import * as z from 'zod'

export const found = `${typeof defineActor} ${typeof z}`
