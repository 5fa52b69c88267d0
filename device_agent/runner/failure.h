// Why a visit did not come about. Thrown anywhere, reported once, by main.
#pragma once

#include <executorch/runtime/core/error.h>

#include <stdexcept>
#include <string>

#include "log.h"

namespace latlab {

struct Failure : std::runtime_error {
  // kind: a FailureKind of common.proto, in lower case.
  Failure(std::string kind, const std::string& message)
      : std::runtime_error(message), kind(std::move(kind)) {}
  std::string kind;
};

// The failure that ExecuTorch's `error` means when it comes up in `doing`; an error that
// names no cause of its own is one of `otherwise`.
inline Failure from_error(
    executorch::runtime::Error error, const std::string& doing, const char* otherwise) {
  using executorch::runtime::Error;
  const char* kind = otherwise;
  switch (error) {
    case Error::InvalidProgram:
    case Error::InvalidExternalData:
    case Error::EndOfMethod:
      kind = "not_a_program";
      break;
    case Error::OperatorMissing:
    case Error::NotSupported:
    case Error::NotImplemented:
    case Error::DelegateInvalidCompatibility:
    case Error::NotFound:  // a backend that is not linked in
      kind = "unsupported";
      break;
    case Error::MemoryAllocationFailed:
    case Error::DelegateMemoryAllocationFailed:
    case Error::OutOfResources:
      kind = "out_of_memory";
      break;
    default:
      break;
  }
  const std::string& cause = first_logged_error();
  return Failure(
      kind,
      doing + ": " + (cause.empty() ? executorch::runtime::to_string(error) : cause));
}

}  // namespace latlab
