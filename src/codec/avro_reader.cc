#include "codec/avro_reader.h"

namespace k2 {

int64_t AvroReader::read_long_slow(const char* field) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70 && p_ != end_; shift += 7) {
    const auto byte = static_cast<uint8_t>(*p_++);
    if (shift == 63 && byte > 1) break;  // more than 64 bits
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return zigzag(value);
  }
  fail(field, "integer is cut off or longer than 64 bits");
  return 0;
}

Status AvroReader::failure(const char* record) const {
  std::string message = "avro: cannot decode ";
  message.append(record).append(" of ").append(std::to_string(end_ - begin_)).append(" bytes: ");
  if (failed_field_ != nullptr)
    message.append(failed_field_).append(": ").append(why_).append(" (byte ").append(std::to_string(failed_at_)).append(")");
  else message.append(std::to_string(end_ - p_)).append(" bytes left over after the last field");
  return make_error(ErrorKind::kCorrupt, std::move(message));
}

}  // namespace k2
