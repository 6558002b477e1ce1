// Answers calls on a saved model by TensorFlow's C++ runtime, without Python.
//
// answer FOLDER ROOM COUNT loads FOLDER and reads ROOM/0.call, ROOM/1.call, ... A call is a
// SignatureDef: `method_name` is the signature that is asked for, `defaults` are the inputs that are
// given. The others are filled in from the servable's own SignatureDef by GetInputValues, the
// function that TensorFlow has for model servers. Of each call a status is printed, and the outputs
// are written to ROOM/<number>.answer, as the `defaults` of a SignatureDef.

#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/cc/saved_model/util.h"

namespace tf = tensorflow;

absl::Status Answer(const tf::SavedModelBundle& bundle, const tf::SignatureDef& call,
                    tf::SignatureDef* answer) {
  const auto found = bundle.GetSignatures().find(call.method_name());
  if (found == bundle.GetSignatures().end()) {
    return absl::NotFoundError("no signature " + call.method_name());
  }
  const tf::SignatureDef& signature = found->second;
  std::vector<std::pair<std::string, tf::Tensor>> inputs;
  absl::Status status = tf::saved_model::GetInputValues(signature, call.defaults(), inputs);
  if (!status.ok()) return status;
  std::vector<std::string> names, ports;
  for (const auto& [name, info] : signature.outputs()) {
    names.push_back(name);
    ports.push_back(info.name());
  }
  std::vector<tf::Tensor> outputs;
  status = bundle.session->Run(inputs, ports, {}, &outputs);
  for (size_t place = 0; place < outputs.size(); ++place) {
    outputs[place].AsProtoField(&(*answer->mutable_defaults())[names[place]]);
  }
  return status;
}

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "usage: answer FOLDER ROOM COUNT\n";
    return 2;
  }
  const std::string folder = arguments[1], room = std::string(arguments[2]) + "/";
  tf::SavedModelBundle bundle;
  const absl::Status loaded =
      tf::LoadSavedModel(tf::SessionOptions(), tf::RunOptions(), folder, {"serve"}, &bundle);
  if (!loaded.ok()) {
    std::cerr << loaded << "\n";
    return 1;
  }
  for (int number = 0; number < std::stoi(arguments[3]); ++number) {
    std::ifstream asked(room + std::to_string(number) + ".call", std::ios::binary);
    std::ofstream said(room + std::to_string(number) + ".answer", std::ios::binary);
    tf::SignatureDef call, answer;
    if (!call.ParseFromIstream(&asked)) {
      std::cerr << "call " << number << " is not a SignatureDef\n";
      return 1;
    }
    const absl::Status status = Answer(bundle, call, &answer);
    answer.SerializeToOstream(&said);
    std::cout << (status.ok() ? "OK" : absl::StatusCodeToString(status.code()) + ": ");
    std::string message(status.message());
    for (char& letter : message) letter = letter == '\n' ? ' ' : letter;
    std::cout << message << "\n";
  }
  return 0;
}
