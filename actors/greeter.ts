import { defineActor } from 'troupe/actor'

type Greeting = { readonly name: string }

/** Answers greetings and counts them; the count is saved with every turn, so it goes on after a restart. */
export default defineActor({
  persist: true, // the state is saved with every turn
  messages: { hello: true }, // or a schema: zod, or any other Standard Schema
  jobs: { write_card: true },
  init: () => ({ greeted: 0 }),
  receive: {
    hello(body, ctx) {
      const { name } = body as Greeting
      ctx.state = { greeted: ctx.state.greeted + 1 }
      ctx.jobs.create('write_card', { name })
      return { text: `Hello ${name}, you are number ${ctx.state.greeted}` } // the reply to whoever asked
    },
  },
  run: {
    write_card(input, ctx) {
      const { name } = input as Greeting
      ctx.log.info(`a card for ${name}`)
      return { card: `To ${name}, with greetings` } // the job's result
    },
  },
})
