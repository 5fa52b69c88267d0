// List the targets of a Latency Lab, and predict how long a small network takes on the first one.
//
// The lab is the one of this machine, or the one that LATLAB_ADDRESS, LATLAB_TOKEN and LATLAB_CA name.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const tls = require("node:tls");

const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const PROTOS = path.join(__dirname, "../../../protos");
const LAB_NAME = "latlab-lab"; // in the certificate of every lab, whatever its address is
const CALL_TIMEOUT_MS = 30_000;
const FIT_TIMEOUT_MS = 300_000; // the first prediction for a target waits for its predictor

// A convolution and a classifier, as the backend runs them: NHWC, with the activation fused.
const NETWORK = [
  {
    kind: "conv2d",
    inputs: [{ dims: [1, 224, 224, 3] }],
    output: { dims: [1, 112, 112, 16] },
    kernel_height: 3,
    kernel_width: 3,
    stride_height: 2,
    stride_width: 2,
    dilation: 1,
    groups: 1,
    activation: "relu",
    dtype: "float32",
  },
  {
    kind: "global_avg_pool2d",
    inputs: [{ dims: [1, 112, 112, 16] }],
    output: { dims: [1, 1, 1, 16] },
    kernel_height: 1,
    kernel_width: 1,
    stride_height: 1,
    stride_width: 1,
    dilation: 1,
    groups: 1,
    dtype: "float32",
  },
];

function loadService() {
  const definition = protoLoader.loadSync("latlab/v1/latency.proto", {
    includeDirs: [PROTOS],
    keepCase: true,
    longs: Number, // nanoseconds fit into a double for a hundred days
    enums: String,
    defaults: true,
  });
  return grpc.loadPackageDefinition(definition).latlab.v1.LatencyService;
}

// Where the lab is, and the token for it: from the environment, or from the files of this machine's lab.
function findLab() {
  const { LATLAB_ADDRESS, LATLAB_TOKEN, LATLAB_CA, LATLAB_HOME } = process.env;
  if (LATLAB_ADDRESS) {
    return { address: LATLAB_ADDRESS, token: LATLAB_TOKEN ?? "", authority: LATLAB_CA };
  }
  const home = LATLAB_HOME || path.join(os.homedir(), ".latlab");
  const { address } = JSON.parse(fs.readFileSync(path.join(home, "daemon.json"), "utf8"));
  return { address, token: fs.readFileSync(path.join(home, "token"), "utf8").trim() };
}

// The certificate that the lab shows, if it has this fingerprint: 64 hexadecimal digits.
function presentedCertificate(address, fingerprint) {
  const { hostname, port } = new URL(`https://${address}`);
  return new Promise((resolve, reject) => {
    const options = { host: hostname, port, servername: LAB_NAME, rejectUnauthorized: false };
    const socket = tls.connect(options, () => {
      const { raw } = socket.getPeerCertificate();
      socket.destroy();
      const shown = crypto.createHash("sha256").update(raw).digest("hex");
      if (shown === fingerprint) {
        const base64 = raw.toString("base64").match(/.{1,64}/g).join("\n");
        resolve(`-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`);
      } else {
        reject(new Error(`${address} shows another certificate: sha256:${shown}`));
      }
    });
    socket.setTimeout(CALL_TIMEOUT_MS, () => socket.destroy(new Error(`${address} is silent`)));
    socket.on("error", reject);
  });
}

// LATLAB_CA is sha256:FINGERPRINT, as `latlab lab status` shows it, or a file with the certificate.
async function openClient({ address, token, authority }) {
  const Service = loadService();
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  if (!authority) {
    // Only loopback needs no TLS. Anywhere else the token could be read on the way.
    if (!/^(127\.0\.0\.1|localhost|\[::1\]):\d+$/.test(address)) {
      throw new Error(`${address} is another machine: set LATLAB_CA to its lab's certificate`);
    }
    return { client: new Service(address, grpc.credentials.createInsecure()), metadata };
  }
  const certificate = authority.startsWith("sha256:")
    ? await presentedCertificate(address, authority.slice(7).replaceAll(":", "").toLowerCase())
    : fs.readFileSync(authority);
  const credentials = grpc.credentials.createSsl(Buffer.from(certificate));
  const options = { "grpc.ssl_target_name_override": LAB_NAME };
  return { client: new Service(address, credentials, options), metadata };
}

function call({ client, metadata }, method, request, timeoutMs = CALL_TIMEOUT_MS) {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs };
    client[method](request, metadata, options, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

async function main() {
  const lab = await openClient(findLab());
  const { targets } = await call(lab, "ListTargets", {});
  for (const { target, measurements } of targets) {
    console.log(`${target.name}: ${measurements} measurements`);
  }
  if (targets.length === 0) {
    throw new Error("the lab has no target yet: connect a device");
  }
  const { target } = targets[0];
  const request = {
    target: target.id,
    kernels: NETWORK,
    lengths: [NETWORK.length],
    indices: NETWORK.map((_, index) => index),
    guess: true, // answer with a wide interval where a kind of kernel was never measured
  };
  const { estimates } = await call(lab, "Predict", request, FIT_TIMEOUT_MS);
  const [latency, lower, upper] = ["latency_ns", "lower_ns", "upper_ns"].map((field) =>
    (estimates[0][field] / 1e6).toFixed(3),
  );
  const source = estimates[0].source.replace("ESTIMATE_SOURCE_", "").toLowerCase();
  console.log(`predicted on ${target.name}: ${latency} ms (${lower} to ${upper}, ${source})`);
  lab.client.close();
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
