#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Models of each format: uploaded, described, deployed; what would execute something refused."""
import os

import archives
import sluice_testlib as lib

TENSORS = {"layer.weight": ([2, 2], [1.0, 2.0, 3.0, 4.0]), "layer.bias": ([1], [0.5])}


class Case:
    def __init__(self, server):
        self.client = server.tenant("formats", "scale")
        space = self.client.make("namespace", "formats", feature_extractors=lib.BOTH)
        self.client.namespace = space
        self.path = f"/v1/namespaces/{space}/models"

    def upload(self, name, declared, *members):
        packed = archives.archive(*(archives.member(*each) for each in members))
        return self.client.upload(self.path, packed, name=name, version="1.0.0",
                                  model_format=declared, task_type="classification")

    def good(self, name, declared, *members):
        """Upload and deploy it; what its details say it contains."""
        model = self.upload(name, declared, *members).expect(200)["model_id"]
        self.client.post(f"{self.path}/{model}/deploy").expect(200)
        shown = self.client.get(f"{self.path}/{model}").expect(200)["model"]
        lib.equal((shown["deployed"], shown["model_format"]), (True, declared))
        return shown["contents"]

    def refused(self, says, declared, *members):
        reply = self.upload("refused", declared, *members).expect(422)
        message = reply["error"]["message"]
        assert says in message, f"{message!r} does not say {says!r}"


class Evil:
    """What a pickle of it would run."""
    def __reduce__(self):
        return os.system, ("touch /tmp/sluice-was-here",)


def check_pytorch(case):
    weights = archives.pytorch(TENSORS)
    with lib.check("pytorch: a state_dict of torch.save becomes tensors"):
        contents = case.good("torch", "pytorch", ("my_model/model.pt", weights))
        lib.equal((contents["format"], contents["tensors"]), ("pytorch", 2))
    with lib.check("pytorch: a pickle that would run something is refused by what it names"):
        evil = archives.pytorch(TENSORS, Evil())
        case.refused("system", "pytorch", ("model.pt", evil))
        assert not os.path.exists("/tmp/sluice-was-here")
    with lib.check("pytorch: a file of before torch 1.6, and half of one, are refused"):
        case.refused("model.pt", "pytorch",
                     ("model.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."))
        case.refused("model.pt", "pytorch", ("model.pt", weights[:len(weights) // 2]))


def check_onnx(case):
    with lib.check("onnx: initialisers become tensors, and the details tell the graph"):
        contents = case.good("graph", "onnx", ("model.onnx", archives.onnx()))
        lib.equal((contents["format"], contents["tensors"]), ("onnx", 1))
        says = contents["says"]
        lib.equal(says["uses"], [{"operator": "Add", "count": 1}])
        lib.equal([value["name"] for value in says["inputs"]], ["x"])
    with lib.check("onnx: data in a file beside it"):
        contents = case.good("beside", "onnx", ("m/model.onnx", archives.onnx("weights.data")),
                             ("m/weights.data", bytes(8)))
        lib.equal(contents["tensors"], 1)
    with lib.check("onnx: data outside of the archive is refused"):
        case.refused("external data", "onnx", ("model.onnx", archives.onnx("../../etc/passwd")))
        case.refused("gone.data", "onnx", ("model.onnx", archives.onnx("gone.data")))


def check_huggingface(case):
    config = (b'{"architectures":["BertModel"],"model_type":"bert","hidden_size":8,'
              b'"num_attention_heads":2,"auto_map":{"AutoModel":"modeling.X"}}')
    with lib.check("huggingface: a directory with pytorch_model.bin, whose code is ignored"):
        contents = case.good("directory", "huggingface",
                             ("repo/pytorch_model.bin", archives.pytorch(TENSORS)),
                             ("repo/config.json", config), ("repo/modeling.py", b"import os"))
        lib.equal((contents["format"], contents["code_files_ignored"]), ("huggingface", 1))
        lib.equal((contents["says"]["architecture"], contents["says"]["remote_code"]),
                  ("BertModel", "ignored"))
    with lib.check("huggingface: a configuration that contradicts itself is refused"):
        case.refused("config.json", "huggingface",
                     ("pytorch_model.bin", archives.pytorch(TENSORS)),
                     ("config.json", config.replace(b'"num_attention_heads":2',
                                                    b'"num_attention_heads":3')))
        case.refused("config.json", "huggingface",
                     ("pytorch_model.bin", archives.pytorch(TENSORS)))


def check_encoder(case):
    with lib.check("an encoder in pytorch_model.bin makes the vectors of safetensors"):
        vectors = []
        for name, is_torch in (("plain", False), ("pickled", True)):
            model = case.client.upload(
                case.path, archives.encoder(3, is_torch=is_torch), name=name, version="1.0.0",
                model_format="huggingface", task_type="embedding").expect(200)["model_id"]
            case.client.post(f"{case.path}/{model}/deploy").expect(200)
            vectors.append(case.client.post("/v1/inference", {
                "inference_name": model, "inputs": {"text": "abc"}}).expect(200)["data"])
        assert vectors[0], "a vector"
        lib.equal(vectors[0], vectors[1])


def check_declared(case):
    with lib.check("a format that was declared wrongly is refused with the one that it is"):
        for declared, real, member in (
                ("safetensors", "pytorch", ("model.pt", archives.pytorch(TENSORS))),
                ("pytorch", "onnx", ("model.onnx", archives.onnx())),
                ("onnx", "safetensors",
                 ("model.safetensors", archives.safetensors(archives.GOOD_TENSORS)))):
            case.refused(f"model_format={real}", declared, member)
    with lib.check("nothing that was refused is listed"):
        listed = case.client.get(case.path).expect(200)["models"]
        lib.equal(sorted(item["name"] for item in listed),
                  ["beside", "directory", "graph", "pickled", "plain", "torch"])


def main():
    server = lib.Server().start()
    case = Case(server)
    check_pytorch(case)
    check_onnx(case)
    check_huggingface(case)
    check_encoder(case)
    check_declared(case)
    lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
