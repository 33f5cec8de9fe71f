#include "net/self_signed.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace k2 {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

std::string subject_alternative_names(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    unsigned char bytes[16];
    const bool is_address = inet_pton(AF_INET, name.c_str(), bytes) == 1 || inet_pton(AF_INET6, name.c_str(), bytes) == 1;
    out += (out.empty() ? "" : ",") + std::string(is_address ? "IP:" : "DNS:") + name;
  }
  return out;
}

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// A serial number, and a name of its own: a verifier that trusts several authorities of one name takes the first for all of them.
bool set_serial_and_name(X509* certificate) {
  uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  const std::string name = "k2 self-signed " + std::to_string(serial);
  X509_NAME* subject = X509_get_subject_name(certificate);
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1;
}

Certificate make_certificate(EVP_PKEY* key, const std::vector<std::string>& names, int days) {
  Certificate certificate(X509_new());
  if (!certificate) return nullptr;
  X509* x509 = certificate.get();
  const bool is_made =
      X509_set_version(x509, X509_VERSION_3) == 1 && set_serial_and_name(x509) &&
      X509_gmtime_adj(X509_getm_notBefore(x509), -3600) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(x509), 86'400L * days) != nullptr && X509_set_pubkey(x509, key) == 1 &&
      add_extension(x509, NID_basic_constraints, "critical,CA:TRUE") &&
      add_extension(x509, NID_key_usage, "critical,digitalSignature,keyCertSign") && add_extension(x509, NID_ext_key_usage, "serverAuth") &&
      add_extension(x509, NID_subject_alt_name, subject_alternative_names(names)) && X509_sign(x509, key, EVP_sha256()) > 0;
  return is_made ? std::move(certificate) : nullptr;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

Result<TlsIdentity> make_self_signed(const std::vector<std::string>& names, int days) {
  const auto failed = [] { return make_error(ErrorKind::kUnavailable, "OpenSSL could not make a self-signed certificate"); };
  if (names.empty()) return make_error(ErrorKind::kInvalidInput, "a self-signed certificate for no name");
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return failed();
  const Certificate certificate = make_certificate(key.get(), names, days);
  if (!certificate) return failed();
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  if (!certificate_text || !key_text || PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return failed();
  return TlsIdentity{text_of(certificate_text.get()), text_of(key_text.get())};
}

}  // namespace k2
