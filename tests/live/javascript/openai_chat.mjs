import OpenAI from "openai";
import { all, asked, failure, say, schema, urls, weather } from "./say.mjs";

const of = (model) => new OpenAI({ baseURL: `${urls[model]}/v1`, apiKey: "none", maxRetries: 0 });
const common = { messages: asked, seed: 1, temperature: 0 };
const tools = [{ type: "function", function: weather }];
const response_format = { type: "json_schema", json_schema: { name: "s", schema } };
for (const model of ["story", "think", "tool"]) {
  const chat = of(model).chat.completions;
  const body = { model, ...common, ...(model === "tool" && { tools }) };
  const stream = { ...body, stream: true, stream_options: { include_usage: true } };
  say(`${model} whole`, await chat.create(body));
  say(`${model} events`, await all(await chat.create(stream)));
  say(`${model} accumulated`, await chat.stream(stream).finalChatCompletion());
}
const tiny = of("tiny").chat.completions;
const short = { model: "tiny", ...common, max_tokens: 20, response_format };
say("schema whole", await tiny.create(short));
say("schema events", await all(await tiny.create({ ...short, stream: true })));
const story = of("story");
say("completion", await story.completions.create({ model: "story", prompt: "x", seed: 1, temperature: 0 }));
say("models", (await all(story.models.list())).map((model) => model.id).sort());
const wrong = { model: "missing", messages: asked, response_format: { type: "nonsense" } };
say("error", await failure(story.chat.completions.create(wrong)));
say("error streamed", await failure(story.chat.completions.create({ ...wrong, stream: true })));
