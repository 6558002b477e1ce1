"""The texts of a model server's configuration files and start scripts."""

ROOT = "/models"  # where the scripts mount the folder of the servables
FOLDER = "serving"
NOTE = "Written by `tfadvrec serving config`, which replaces this file."
MODELS_CONFIG, BATCHING, MONITORING = (
    "models.config",
    "batching_parameters.txt",
    "monitoring.config",
)
RUNTIME, REQUESTS, CLIENT = "tf_runtime.pbtxt", "requests.http", "client.py"
SCRIPTS = ("run_cpu.sh", "run_gpu.sh")
PER_MODEL = "batching_params.pbtxt"

MODEL_TEXT = """\
  config {{
    name: "{name}"
    base_path: "{root}/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
"""
BATCHING_TEXT = """\
# {note}
# Requests are merged up to max_batch_size rows and filled up to the next allowed size. All inputs
# have fixed widths; padding would fill a row up with its request's first element, so it is off.
max_batch_size {{ value: {largest} }}
{allowed}
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: 100 }}
pad_variable_length_inputs: false
"""
MONITORING_TEXT = f"""\
# {NOTE}
prometheus_config {{
  enable: true
  path: "/monitoring/prometheus/metrics"
}}
"""
RUNTIME_TEXT = f"""\
# {NOTE}
# The share of the GPU's memory and the numbers of threads are flags of run_gpu.sh: the server
# overwrites them here.
gpu_options {{
  allow_growth: true
}}
"""
MEMORY_TEXT = """
# The server loads a new version before it unloads the old one: the GPU's memory must hold both.
# --per_process_gpu_memory_fraction limits what it takes; {fraction}."""
EXACT_PRODUCTS = """
# Without this a GPU multiplies in TF32, and scores differ from those that were verified.
export NVIDIA_TF32_OVERRIDE="${NVIDIA_TF32_OVERRIDE:-0}"
"""
SCRIPT_TEXT = """\
#!/usr/bin/env bash
# Starts a model server on {device} for the models of models.config.
# {note} It was not run with a real server.
#
# It starts the binary that MODEL_SERVER names, or tensorflow_model_server where that is installed,
# or else the docker image TF_SERVING_IMAGE. Take one no older than TensorFlow {tensorflow}, which
# wrote the models. Flags given to this script are given to the server.
#
# A model server asks nobody for a password. Docker opens the ports to this machine only; the binary
# listens on every address: put a firewall before it.{memory}
set -euo pipefail
{environment}
# Large tables on huge pages, where the server uses glibc's malloc (2.35 or newer): searching 10^6
# items took about a tenth less time in the C runtime.
export GLIBC_TUNABLES="${{GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}}"

here="$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)"
models="$(dirname "$here")"
binary="${{MODEL_SERVER:-$(command -v tensorflow_model_server || true)}}"
if [[ -n "$binary" ]]; then
  place="$here"
  config="$(mktemp)" # models.config with the paths of this machine
  old='base_path: "{root}/'
  new="base_path: \\"$models/"
  text="$(<"$here/models.config")"
  printf '%s\\n' "${{text//"$old"/"$new"}}" > "$config"
  server=("$binary")
else
  place="{root}/{folder}"
  config="$place/models.config"
  server=(
    docker run --rm --env GLIBC_TUNABLES{docker}
    -p 127.0.0.1:{port}:{port} -p 127.0.0.1:{rest_port}:{rest_port}
    --mount "type=bind,source=$models,target={root},readonly"
    --entrypoint tensorflow_model_server "${{TF_SERVING_IMAGE:-{image}}}"
  )
fi
exec "${{server[@]}}" \\
  --port={port} \\
  --rest_api_port={rest_port} \\
  --model_config_file="$config" \\
{flags}
  "$@"
"""
