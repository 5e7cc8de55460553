import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Another system in Java: registers users and products, charges wallets and orders, without HTTP.
 *
 * <p>It writes commands to Kafka, reads their outcomes from {@code command-results} and what became of the
 * orders from {@code order-events}. docs/contract.md tells the rules; every call of the shop's own that is
 * needed is in here. No partition is named and no partitioner set: the client's default one is the contract's.
 *
 * <pre>scripts/samples java --kafka HOST:9092 --registry http://HOST:8081</pre>
 */
public final class Order {
    private static final long PRICE = 1_200, STOCK = 10, CHARGE = 50_000, QUANTITY = 2;
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration POLL = Duration.ofMillis(100);

    private enum Role {
        USER("user-commands", "userId"),
        PRODUCT("product-commands", "productId");

        final String topic, idField;

        Role(String topic, String idField) {
            this.topic = topic;
            this.idField = idField;
        }
    }

    private record Target(Role role, long id) {
        /** What a command id names: a UUIDv8 of role (1 bit), id (53 bits) and hash of the key. */
        static Target of(byte[] commandId) {
            long high = ByteBuffer.wrap(commandId).getLong();
            long roleAndId = high >>> 16 << 6 | (high & 0xfff) >>> 6;
            return new Target(Role.values()[(int) (roleAndId >>> 53)], roleAndId & (1L << 53) - 1);
        }
    }

    /** A command that was written: where, which answers name. */
    private record Asked(String wish, Target target, Future<RecordMetadata> written) {}

    private record Place(Target target, long offset) {}

    /** The schemas, by the ids that records begin with (Confluent's wire format). */
    private static final class Registry {
        private final HttpClient http = HttpClient.newHttpClient();
        private final ObjectMapper json = new ObjectMapper();
        private final Map<Integer, Schema> byId = new HashMap<>();
        private final Map<String, Integer> idByTopic = new HashMap<>();
        private final String url, topicPrefix;

        Registry(String url, String topicPrefix) {
            this.url = url.replaceAll("/+$", "");
            this.topicPrefix = topicPrefix;
        }

        private JsonNode get(String path) throws IOException, InterruptedException {
            HttpRequest request = HttpRequest.newBuilder(URI.create(url + path)).timeout(PATIENCE).build();
            HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IOException(path + ": the registry says " + answer.statusCode());
            }
            return json.readTree(answer.body());
        }

        private int idOf(String topic) throws IOException, InterruptedException {
            Integer known = idByTopic.get(topic);
            if (known != null) {
                return known;
            }
            JsonNode found = get("/subjects/" + topicPrefix + topic + "-value/versions/latest");
            int id = found.get("id").asInt();
            byId.put(id, new Schema.Parser().parse(found.get("schema").asText()));
            idByTopic.put(topic, id);
            return id;
        }

        Schema of(String topic) throws IOException, InterruptedException {
            return byId.get(idOf(topic));
        }

        byte[] encode(String topic, GenericRecord value) throws IOException, InterruptedException {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(idOf(topic)).array());
            var encoder = EncoderFactory.get().binaryEncoder(out, null);
            new GenericDatumWriter<GenericRecord>(value.getSchema()).write(value, encoder);
            encoder.flush();
            return out.toByteArray();
        }

        GenericRecord decode(byte[] record) throws IOException, InterruptedException {
            ByteBuffer bytes = ByteBuffer.wrap(record);
            if (bytes.get() != 0) {
                throw new IOException("a record begins with " + record[0] + ", not with 0");
            }
            int id = bytes.getInt();
            if (!byId.containsKey(id)) {
                byId.put(id, new Schema.Parser().parse(get("/schemas/ids/" + id).get("schema").asText()));
            }
            var decoder = DecoderFactory.get().binaryDecoder(record, 5, record.length - 5, null);
            return new GenericDatumReader<GenericRecord>(byId.get(id)).read(null, decoder);
        }
    }

    private final String brokers, prefix;
    private final int replyTo;
    private final Registry registry;
    private final KafkaProducer<String, byte[]> producer;
    private final KafkaConsumer<String, byte[]> results;
    private final List<Asked> asked = new ArrayList<>();

    private Order(Map<String, String> flags, int replyTo) {
        brokers = flags.get("--kafka");
        prefix = flags.get("--topic-prefix");
        this.replyTo = replyTo;
        registry = new Registry(flags.get("--registry"), prefix);
        Map<String, Object> settings = Map.of("bootstrap.servers", brokers);
        producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
        results = consumer();
        TopicPartition mine = new TopicPartition(prefix + "command-results", replyTo);
        results.assign(List.of(mine));
        results.seekToEnd(List.of(mine));
        // The end is asked for before anything is sent, so that no outcome is missed.
        results.position(mine);
    }

    private KafkaConsumer<String, byte[]> consumer() {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", brokers,
                "enable.auto.commit", false,
                "auto.offset.reset", "none",
                // This client's own default shows what a transaction wrote that is aborted later.
                "isolation.level", "read_committed");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
    }

    private static Schema payloadOf(Schema command, String wish) {
        Schema payload = command.getField("payload").schema();
        return payload.getTypes().get(payload.getIndexNamed("jupan." + wish));
    }

    private void ask(Target target, String key, String wish, Map<String, Object> payload) throws Exception {
        Schema schema = registry.of(target.role.topic);
        GenericRecordBuilder body = new GenericRecordBuilder(payloadOf(schema, wish));
        payload.forEach(body::set);
        GenericRecord command = new GenericRecordBuilder(schema)
                .set(target.role.idField, target.id)
                // The same key and payload get the same outcome again: this sample may be run twice.
                .set("key", key)
                .set("createdAt", ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()))
                .set("actor", "sample-java")
                .set("replyTo", replyTo)
                .set("payload", body.build())
                .build();
        byte[] value = registry.encode(target.role.topic, command);
        var record = new ProducerRecord<>(prefix + target.role.topic, Long.toString(target.id), value);
        asked.add(new Asked(wish, target, producer.send(record)));
    }

    /** What became of everything that was asked for, by wish and id. */
    private Map<String, GenericRecord> outcomes() throws Exception {
        producer.flush();
        Map<Place, Asked> waiting = new HashMap<>();
        for (Asked one : asked) {
            waiting.put(new Place(one.target, one.written.get().offset()), one);
        }
        asked.clear();
        Map<String, GenericRecord> outcomes = new HashMap<>();
        Instant end = Instant.now().plus(PATIENCE);
        while (!waiting.isEmpty()) {
            if (Instant.now().isAfter(end)) {
                throw new IllegalStateException("no outcome of " + waiting.keySet());
            }
            for (ConsumerRecord<String, byte[]> record : results.poll(POLL)) {
                GenericRecord result = registry.decode(record.value());
                Target target = Target.of(((GenericFixed) result.get("commandId")).bytes());
                // Others may be answered in this partition, too, and an outcome may come twice.
                Asked one = waiting.remove(new Place(target, (Long) result.get("position")));
                if (one != null) {
                    tell(one, result);
                    outcomes.put(one.wish + target.id, result);
                }
            }
        }
        return outcomes;
    }

    private static void tell(Asked one, GenericRecord result) throws ExecutionException, InterruptedException {
        String what = one.target.role.name().toLowerCase() + " " + one.target.id;
        String code = result.get("code").toString();
        System.out.printf("%s partition %d %s %s%n", what, one.written.get().partition(), one.wish, code);
        if (!code.equals("OK")) {
            throw new IllegalStateException(one.wish + " of " + what + ": " + code);
        }
    }

    /** Reads until every order has ended: whoever wants the feed only needs this. */
    private void events(Map<String, Long> orders) throws Exception {
        try (var consumer = consumer()) {
            List<TopicPartition> partitions = consumer.partitionsFor(prefix + "order-events").stream()
                    .map(info -> new TopicPartition(info.topic(), info.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Instant end = Instant.now().plus(PATIENCE);
            Map<String, Long> waiting = new HashMap<>(orders);
            while (!waiting.isEmpty()) {
                if (Instant.now().isAfter(end)) {
                    throw new IllegalStateException("no event of " + waiting);
                }
                for (ConsumerRecord<String, byte[]> record : consumer.poll(POLL)) {
                    GenericRecord event = registry.decode(record.value());
                    String order = event.get("orderId").toString(), status = event.get("status").toString();
                    // Other systems' orders, repeats, and this order while it was pending are passed over.
                    if (status.equals("PENDING") || !waiting.containsKey(order)) {
                        continue;
                    }
                    long user = waiting.remove(order);
                    System.out.printf("order %s of user %d %s %s%n", order, user, status, event.get("totalPrice"));
                    boolean isExpected = event.get("userId").equals(user) && status.equals("SUCCESS")
                            && event.get("totalPrice").equals(QUANTITY * PRICE);
                    if (!isExpected) {
                        throw new IllegalStateException("order " + order + ": " + event);
                    }
                }
            }
        }
    }

    private void run(long first, long count) throws Exception {
        for (long n = first; n < first + count; n++) {
            ask(new Target(Role.PRODUCT, n), "sample-register", "RegisterProduct",
                    Map.of("name", "Abacus " + n, "price", PRICE, "stock", STOCK));
            ask(new Target(Role.USER, n), "sample-register", "RegisterUser",
                    Map.of("name", "Ada " + n, "email", "ada@example.org"));
        }
        // An order needs both, and they are other partitions: nothing but their outcomes says that they are there.
        outcomes();
        for (long n = first; n < first + count; n++) {
            Target user = new Target(Role.USER, n);
            // The same partition, so the charge comes before the order.
            ask(user, "sample-charge", "ChargeBalance", Map.of("amount", CHARGE));
            ask(user, "sample-order", "PlaceOrder", order(n));
        }
        Map<String, GenericRecord> outcomes = outcomes();
        Map<String, Long> orders = new HashMap<>();
        for (long n = first; n < first + count; n++) {
            Object balance = outcomes.get("ChargeBalance" + n).get("balance");
            if (!balance.equals(CHARGE)) {
                throw new IllegalStateException("user " + n + " has " + balance);
            }
            byte[] orderId = ((GenericFixed) outcomes.get("PlaceOrder" + n).get("orderId")).bytes();
            ByteBuffer id = ByteBuffer.wrap(orderId);
            orders.put(new UUID(id.getLong(), id.getLong()).toString(), n);
        }
        events(orders);
        producer.close();
        results.close();
    }

    private Map<String, Object> order(long product) throws Exception {
        Schema schema = payloadOf(registry.of("user-commands"), "PlaceOrder");
        Schema items = schema.getField("items").schema();
        GenericRecord line = new GenericRecordBuilder(items.getElementType())
                .set("productId", product)
                .set("quantity", QUANTITY)
                .build();
        var now = new GenericData.EnumSymbol(schema.getField("payment").schema(), "NOW");
        return Map.of("items", List.of(line), "fromCart", false, "payment", now);
    }

    public static void main(String[] args) {
        Map<String, String> flags = new HashMap<>(Map.of("--topic-prefix", "", "--first", "1000", "--count", "12"));
        for (int at = 0; at + 1 < args.length; at += 2) {
            flags.put(args[at], args[at + 1]);
        }
        if (!flags.containsKey("--kafka") || !flags.containsKey("--registry")) {
            System.err.println("--kafka HOST:PORT --registry URL [--topic-prefix TEXT] [--first ID] [--count N]");
            System.exit(2);
        }
        try {
            new Order(flags, 1).run(Long.parseLong(flags.get("--first")), Long.parseLong(flags.get("--count")));
        } catch (Exception error) {
            System.err.println("sample-java: " + error);
            System.exit(1);
        }
    }
}
