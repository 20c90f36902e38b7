// The Vercel AI SDK as a client. Reads a list of jobs as JSON from stdin, asks each of them once, and prints a list of
// what the SDK built of each answer, in the order of the jobs. One process for many jobs, because node starts slowly.
//
// A job:    {sdk, api, baseURL, model, stream, prompt, tools: [name]}
//           sdk: openai | openai-compatible | anthropic | google; api tells openai's two apart.
//           baseURL: the server's root, without a path.
// A result: {text, reasoning, toolCalls: [{name, input, id}], finishReason, usage, parts, error: {name, status, message}}
//           parts: everything that the SDK yielded or holds, less times, headers and the request.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";

const AT_ONCE = 8;
const DEADLINE_MS = 20_000;
globalThis.AI_SDK_LOG_WARNINGS = false;

const MODELS = {
  openai: (job, root) => {
    const provider = createOpenAI({ apiKey: "sk-client", baseURL: `${root}/v1` });
    return job.api === "openai-chat" ? provider.chat(job.model) : provider.responses(job.model);
  },
  "openai-compatible": (job, root) =>
    createOpenAICompatible({ name: "gateway", apiKey: "sk-client", baseURL: `${root}/v1`, includeUsage: true })(
      job.model,
    ),
  anthropic: (job, root) => createAnthropic({ apiKey: "sk-client", baseURL: `${root}/v1` })(job.model),
  google: (job, root) => {
    let made = 0; // of calls without an id: counted, so that two readings of one answer are equal
    const settings = { apiKey: "sk-client", baseURL: `${root}/v1beta`, generateId: () => `made-${++made}` };
    return createGoogleGenerativeAI(settings)(job.model);
  },
};

function toolsOf(names) {
  const inputSchema = jsonSchema({ type: "object", properties: {}, additionalProperties: true });
  return Object.fromEntries(names.map((name) => [name, tool({ description: name, inputSchema })]));
}

async function ask(job) {
  const options = {
    model: MODELS[job.sdk](job, job.baseURL),
    prompt: job.prompt,
    maxOutputTokens: 100,
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(DEADLINE_MS),
    ...(job.tools.length ? { tools: toolsOf(job.tools) } : {}),
  };
  return job.stream ? askStreamed(options) : askWhole(options);
}

async function askWhole(options) {
  try {
    const answer = await generateText(options);
    return await built(answer, [...answer.content, ...answer.steps.map((step) => step.providerMetadata)]);
  } catch (error) {
    return { parts: [], error: described(error) };
  }
}

async function askStreamed(options) {
  const parts = [];
  let failed = null;
  try {
    // The SDK's own default is to print errors; they come as parts too.
    const answer = streamText({ ...options, onError: () => {} });
    for await (const part of answer.fullStream) {
      if (part.type === "error") failed ??= part.error;
      else parts.push(part);
    }
    if (failed === null) return await built(answer, parts);
  } catch (error) {
    failed ??= error;
  }
  return { parts: parts.map(told), error: described(failed) };
}

// What the SDK accumulated. Of a streamed answer these are promises.
async function built(answer, parts) {
  const calls = await answer.toolCalls;
  return {
    text: await answer.text,
    reasoning: (await answer.reasoningText) ?? "",
    toolCalls: calls.map((call) => ({ name: call.toolName, input: call.input, id: call.toolCallId })),
    finishReason: await answer.finishReason,
    usage: await answer.usage,
    parts: parts.map(told),
    error: null,
  };
}

// What was told by the server, and no more: not when it came, nor what had been asked, nor the ids that the SDK makes up
// for sources.
const NOT_TOLD = new Set(["request", "headers", "timestamp", "responseTimeMs", "modelId"]);

function told(value) {
  if (Array.isArray(value)) return value.map(told);
  if (value instanceof Error) return described(value);
  if (value === null || typeof value !== "object") return value;
  const madeUp = value.type === "source" ? "id" : null;
  const kept = Object.entries(value).filter(([key]) => !NOT_TOLD.has(key) && key !== madeUp);
  return Object.fromEntries(kept.map(([key, item]) => [key, told(item)]));
}

function described(error) {
  const status = error?.statusCode ?? null;
  if (error instanceof Error) return { name: error.name, status, message: error.message };
  return { name: typeof error, status, message: typeof error === "string" ? error : JSON.stringify(told(error)) };
}

async function askAll(jobs) {
  const results = new Array(jobs.length);
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const number = next++;
      results[number] = await ask(jobs[number]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

let input = "";
for await (const piece of process.stdin.setEncoding("utf8")) input += piece;
process.stdout.write(JSON.stringify(await askAll(JSON.parse(input))));
