import OpenAI from "openai";
import { all, failure, say, schema, urls, weather } from "./say.mjs";

const of = (model) =>
  new OpenAI({ baseURL: `${urls[model]}/v1`, apiKey: "none", maxRetries: 0 }).responses;
const common = { input: "Hello", temperature: 0 };
const tools = [{ type: "function", strict: false, ...weather }];
for (const model of ["story", "think", "tool"]) {
  const body = { model, ...common, ...(model === "tool" && { tools }) };
  say(`${model} whole`, await of(model).create(body));
  const events = await all(await of(model).create({ ...body, stream: true }));
  say(`${model} events`, events);
  // llama-server's first event has no `output`, without which this accumulator throws.
  if (events[0].response.output)
    say(`${model} accumulated`, await of(model).stream(body).finalResponse());
}
const text = { format: { type: "json_schema", name: "s", schema } };
const short = { model: "tiny", ...common, max_output_tokens: 20, text };
say("schema whole", await of("tiny").create(short));
say("schema events", await all(await of("tiny").create({ ...short, stream: true })));
const wrong = { model: "story", input: [{ type: "nonsense" }] };
say("error", await failure(of("story").create(wrong)));
say("error streamed", await failure(of("story").create({ ...wrong, stream: true })));
