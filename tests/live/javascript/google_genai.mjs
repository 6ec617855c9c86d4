import { GoogleGenAI } from "@google/genai";
import { all, failure, parameters, say, schema, urls, weather } from "./say.mjs";

const httpOptions = { baseUrl: urls.story };
const { models } = new GoogleGenAI({ apiKey: "none", httpOptions });
const contents = "Hello";
const { name, description } = weather;
const functions = [{ name, description, parametersJsonSchema: parameters }];
const set = { seed: 1, temperature: 0 };
for (const model of ["story", "think", "tool"]) {
  const config = { ...set };
  if (model === "tool") config.tools = [{ functionDeclarations: functions }];
  const body = { model, contents, config };
  say(`${model} whole`, await models.generateContent(body));
  say(`${model} events`, await all(await models.generateContentStream(body)));
}
const config = { ...set, maxOutputTokens: 20, responseMimeType: "application/json" };
config.responseJsonSchema = schema;
const short = { model: "tiny", contents, config };
say("schema whole", await models.generateContent(short));
say("schema events", await all(await models.generateContentStream(short)));
say("models", (await all(await models.list())).map((model) => model.name).sort());
const wrong = { model: "missing", contents };
say("error", await failure(models.generateContent(wrong)));
say("error streamed", await failure(models.generateContentStream(wrong)));
