import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The small work of the benchmark on Kafka Streams: persistent store with its changelog, one thread.
 *
 * Arguments: application id, servers, source topic, output topic, state folder, processing guarantee, outputs
 * (each or none), file with the item vectors (float32, little-endian, 64 an item), replication of the store's
 * changelog.
 */
public final class SmallWork {
    private static final int DIM = 64;
    private static final int STATE = DIM * 4 + 16;
    private static final float STEP = 0.1f;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final AtomicLong COUNT = new AtomicLong();

    /** An event as it lies in the source topic. */
    public static final class Event {
        public String event_id;
        public String user_id;
        public String item_id;
        public String action;
        public long timestamp;
    }

    private static final class Average implements Processor<String, byte[], String, byte[]> {
        private final float[] items;
        private final boolean each;
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> store;

        Average(float[] items, boolean each) {
            this.items = items;
            this.each = each;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            this.store = context.getStateStore("averages");
        }

        @Override
        public void process(Record<String, byte[]> input) {
            try {
                Event event = JSON.readValue(input.value(), Event.class);
                int item = Integer.parseInt(event.item_id.substring(1)) * DIM;
                byte[] known = store.get(event.user_id);
                byte[] state = new byte[STATE];
                ByteBuffer after = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN);
                float[] vector = new float[DIM];
                long count = 1;
                if (known == null) {
                    System.arraycopy(items, item, vector, 0, DIM);
                } else {
                    ByteBuffer before = ByteBuffer.wrap(known).order(ByteOrder.LITTLE_ENDIAN);
                    for (int place = 0; place < DIM; place++) {
                        vector[place] = before.getFloat() * (1 - STEP) + items[item + place] * STEP;
                    }
                    count += before.getLong();
                }
                for (float number : vector) {
                    after.putFloat(number);
                }
                after.putLong(count).putLong(event.timestamp);
                store.put(event.user_id, state);
                if (each) {
                    context.forward(input.withKey(event.user_id).withValue(record(event, vector)));
                }
                COUNT.incrementAndGet();
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }

        private static byte[] record(Event event, float[] vector) throws IOException {
            ByteArrayOutputStream target = new ByteArrayOutputStream(1024);
            try (JsonGenerator json = JSON.createGenerator(target)) {
                json.writeStartObject();
                json.writeStringField("user", event.user_id);
                json.writeNumberField("t", event.timestamp);
                json.writeArrayFieldStart("interest");
                for (float number : vector) {
                    json.writeNumber(Math.rint(number * 1e4) / 1e4);
                }
                json.writeEndArray();
                json.writeEndObject();
            }
            return target.toByteArray();
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[0]);
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[1]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[5]);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        config.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        config.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 2000);
        config.put("internal.leave.group.on.close", true);
        float[] items = vectors(Path.of(arguments[7]));
        boolean each = arguments[6].equals("each");
        Topology topology = new Topology();
        topology.addSource("events", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), arguments[2]);
        topology.addProcessor("average", () -> new Average(items, each), "events");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("averages"), Serdes.String(), Serdes.ByteArray()),
            "average");
        topology.addSink(
            "interests", arguments[3], Serdes.String().serializer(), Serdes.ByteArray().serializer(), "average");
        KafkaStreams streams = new KafkaStreams(topology, config);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
        }));
        streams.start();
        tell();
    }

    private static void tell() throws InterruptedException {
        long told = 0;
        while (true) {
            Thread.sleep(20);
            long count = COUNT.get();
            if (count != told) {
                told = count;
                System.out.println("TICK " + told);
                System.out.flush();
            }
        }
    }

    private static float[] vectors(Path path) throws IOException {
        ByteBuffer content = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
        float[] numbers = new float[content.remaining() / 4];
        content.asFloatBuffer().get(numbers);
        return numbers;
    }
}
