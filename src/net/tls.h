// What a TLS peer is to be trusted by, and what a TLS server shows. Values only: OpenSSL stays inside net.
//
// Always TLS 1.2 or later, chain and host name verified; there is no option to switch verification off.
#pragma once

#include <string>

namespace k2 {

/// Whom a client trusts: the system's authorities (OpenSSL's default paths, SSL_CERT_FILE and SSL_CERT_DIR honoured) and those given here.
struct TlsTrust {
  std::string ca_file;        // PEM file with further authorities; empty: none
  std::string ca_directory;   // directory of hashed PEM files; empty: none
  std::string ca_pem;         // further authorities as PEM text; empty: none
  bool system_authorities = true;
};

/// A server's certificate chain and key, as PEM text.
struct TlsIdentity {
  std::string certificate_pem;  // leaf first
  std::string private_key_pem;

  [[nodiscard]] bool empty() const { return certificate_pem.empty(); }
};

}  // namespace k2
