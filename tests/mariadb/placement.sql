-- Placement's eleven tables as nova's API database has them (placement's revision b4ed3a175331), and some rows.
CREATE TABLE traits (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL, UNIQUE KEY uniq_traits0name (name));
CREATE TABLE allocations (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  resource_provider_id INT NOT NULL, consumer_id VARCHAR(36) NOT NULL, resource_class_id INT NOT NULL, used INT NOT NULL,
  KEY allocations_consumer_id_idx (consumer_id), KEY allocations_resource_class_id_idx (resource_class_id));
CREATE TABLE consumers (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid VARCHAR(36) NOT NULL, project_id INT NOT NULL, user_id INT NOT NULL, generation INT NOT NULL DEFAULT 0,
  UNIQUE KEY uniq_consumers0uuid (uuid));
CREATE TABLE inventories (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  resource_provider_id INT NOT NULL, resource_class_id INT NOT NULL, total INT NOT NULL, reserved INT NOT NULL,
  min_unit INT NOT NULL, max_unit INT NOT NULL, step_size INT NOT NULL, allocation_ratio FLOAT NOT NULL);
CREATE TABLE placement_aggregates (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid VARCHAR(36), UNIQUE KEY uniq_placement_aggregates0uuid (uuid));
CREATE TABLE projects (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  external_id VARCHAR(255) NOT NULL, UNIQUE KEY uniq_projects0external_id (external_id));
CREATE TABLE resource_classes (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) NOT NULL, UNIQUE KEY uniq_resource_classes0name (name));
CREATE TABLE resource_providers (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid VARCHAR(36) NOT NULL, name VARCHAR(200) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin, generation INT,
  root_provider_id INT, parent_provider_id INT, UNIQUE KEY uniq_resource_providers0uuid (uuid),
  FOREIGN KEY (root_provider_id) REFERENCES resource_providers (id),
  FOREIGN KEY (parent_provider_id) REFERENCES resource_providers (id));
CREATE TABLE resource_provider_aggregates (created_at DATETIME, updated_at DATETIME, resource_provider_id INT NOT NULL,
  aggregate_id INT NOT NULL, PRIMARY KEY (resource_provider_id, aggregate_id));
CREATE TABLE resource_provider_traits (created_at DATETIME, updated_at DATETIME, trait_id INT NOT NULL,
  resource_provider_id INT NOT NULL, PRIMARY KEY (trait_id, resource_provider_id),
  FOREIGN KEY (trait_id) REFERENCES traits (id), FOREIGN KEY (resource_provider_id) REFERENCES resource_providers (id));
CREATE TABLE users (created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  external_id VARCHAR(255) NOT NULL, UNIQUE KEY uniq_users0external_id (external_id));
-- Nova's own, which stays.
CREATE TABLE instance_mappings (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, instance_uuid VARCHAR(36) NOT NULL);
INSERT INTO instance_mappings (instance_uuid) VALUES ('stays');

INSERT INTO resource_classes (id, name) VALUES (1, 'VCPU'), (10001, 'CUSTOM_GOLD');
INSERT INTO traits (name) VALUES ('HW_CPU_X86_AVX'), ('CUSTOM_Ä''"\\ %s');
INSERT INTO resource_providers (created_at, uuid, name, generation) SELECT '2018-01-02 03:04:05', UUID(), CONCAT('cmp', seq), seq FROM seq_1_to_20;
UPDATE resource_providers SET root_provider_id = id;
UPDATE resource_providers SET parent_provider_id = 1, root_provider_id = 1 WHERE id = 2;
INSERT INTO resource_provider_traits (trait_id, resource_provider_id) SELECT 2, id FROM resource_providers;
INSERT INTO placement_aggregates (uuid) VALUES (UUID());
INSERT INTO resource_provider_aggregates (resource_provider_id, aggregate_id) SELECT id, 1 FROM resource_providers;
INSERT INTO inventories (resource_provider_id, resource_class_id, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
  SELECT id, 1, 64, 2, 1, 64, 1, 16.1 FROM resource_providers;
INSERT INTO projects (external_id) VALUES (UUID());
INSERT INTO users (external_id) VALUES (UUID());
INSERT INTO consumers (created_at, uuid, project_id, user_id) SELECT NOW(), UUID(), 1, 1 FROM seq_1_to_2000;
INSERT INTO allocations (created_at, resource_provider_id, consumer_id, resource_class_id, used) SELECT NOW(), 1 + id % 20, uuid, 1, 1 FROM consumers;
