import Anthropic from "@anthropic-ai/sdk";
import { all, asked, failure, parameters, say, schema, urls, weather } from "./say.mjs";

const of = (model) => new Anthropic({ baseURL: urls[model], apiKey: "none", maxRetries: 0 });
const common = { max_tokens: 500, temperature: 0, messages: asked };
const { name, description } = weather;
const tools = [{ name, description, input_schema: parameters }];
for (const model of ["story", "think", "tool"]) {
  const { messages } = of(model);
  const body = { model, ...common, ...(model === "tool" && { tools }) };
  say(`${model} whole`, await messages.create(body));
  say(`${model} events`, await all(await messages.create({ ...body, stream: true })));
  say(`${model} accumulated`, await messages.stream(body).finalMessage());
}
const output_config = { format: { type: "json_schema", schema } };
const short = { model: "tiny", max_tokens: 20, temperature: 0, messages: asked, output_config };
say("schema", await of("tiny").messages.create(short));
say("count", await of("story").messages.countTokens({ model: "story", messages: asked }));
say("models", (await all(of("story").models.list())).map((model) => model.id).sort());
const wrong = { model: "missing", max_tokens: 9, messages: [{ role: "user", content: 5 }] };
say("error", await failure(of("story").messages.create(wrong)));
say("error streamed", await failure(of("story").messages.create({ ...wrong, stream: true })));
