// A self-signed certificate for a local test server, made in memory.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"

namespace k2 {

/// An ECDSA P-256 key and a certificate that is its own authority, valid from an hour ago for `days`, for the given names:
/// DNS names, and IPv4 or IPv6 addresses. The certificate's PEM is what a client passes as TlsTrust::ca_pem. Unavailable if OpenSSL fails.
[[nodiscard]] Result<TlsIdentity> make_self_signed(const std::vector<std::string>& names = {"localhost", "127.0.0.1", "::1"},
                                                   int days = 30);

}  // namespace k2
